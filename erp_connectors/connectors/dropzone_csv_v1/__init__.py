from erp_connectors.connectors.dropzone_csv_v1.connector import DropzoneCsvV1

__all__ = ["DropzoneCsvV1"]
