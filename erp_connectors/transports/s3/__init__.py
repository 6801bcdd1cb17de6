from erp_connectors.transports.s3.options import S3Options
from erp_connectors.transports.s3.transport import S3Transport

__all__ = ["S3Options", "S3Transport"]
