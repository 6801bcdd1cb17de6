from erp_connectors.admin import ack_files, connections, exports, orders

__all__ = ["ack_files", "connections", "exports", "orders"]
