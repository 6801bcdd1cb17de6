from erp_connectors.admin import connections, exports, orders

__all__ = ["connections", "exports", "orders"]
