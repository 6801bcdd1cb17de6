from erp_connectors.transports.filesystem.transport import FilesystemOptions, FilesystemTransport

__all__ = ["FilesystemOptions", "FilesystemTransport"]
