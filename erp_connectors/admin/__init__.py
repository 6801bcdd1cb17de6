"""The admin's pages, one package for each area. Importing this registers them."""

from erp_connectors.admin.acks import model_admin as acks
from erp_connectors.admin.bulk import model_admin as bulk
from erp_connectors.admin.connections import model_admin as connections
from erp_connectors.admin.exports import model_admin as exports
from erp_connectors.admin.notifications import model_admin as notifications
from erp_connectors.admin.orders import model_admin as orders

__all__ = ["acks", "bulk", "connections", "exports", "notifications", "orders"]
