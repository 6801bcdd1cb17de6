"""The connection of an org that receives its new orders: the oldest active one whose connector is installed."""

from django.db.models import BooleanField, Case, Exists, OuterRef, QuerySet, When

from erp_connectors.models import ERPConnection
from erp_connectors.registry import connector_types
from erp_connectors.states import ConnectionStatus


def receiving_connections() -> QuerySet[ERPConnection]:
    """Match the connection of each org that receives its new orders."""
    older = _usable().filter(org=OuterRef("org"), created_at__lt=OuterRef("created_at"))
    return _usable().exclude(Exists(older))


def with_receives_orders(connections: QuerySet[ERPConnection]) -> QuerySet[ERPConnection]:
    """Add ``receives_orders`` to active connections of orgs that have another usable one; None for the others."""
    others = _usable().filter(org=OuterRef("org")).exclude(pk=OuterRef("pk"))
    receiving = Exists(receiving_connections().filter(pk=OuterRef("pk")))
    known = When(Exists(others), status=ConnectionStatus.ACTIVE, then=receiving)
    return connections.annotate(receives_orders=Case(known, output_field=BooleanField(null=True)))


def _usable() -> QuerySet[ERPConnection]:
    return ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE, connector_type__in=connector_types())
