from erp_connectors.transports.sftp.options import SftpOptions
from erp_connectors.transports.sftp.transport import SftpTransport

__all__ = ["SftpOptions", "SftpTransport"]
