from erp_connectors.connectors.dropzone_json_v1.connector import DropzoneJsonV1

__all__ = ["DropzoneJsonV1"]
