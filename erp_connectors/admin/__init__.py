from erp_connectors.admin import ack_files, bulk_runs, connections, exports, orders, subscriptions

__all__ = ["ack_files", "bulk_runs", "connections", "exports", "orders", "subscriptions"]
