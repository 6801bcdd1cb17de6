"""Who calls the API in tests, and an org with something in it for them to act on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from orderflow.accounts.models import Token
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories

# The stranger is another org's ADMIN.
ACTORS = ("ADMIN", "INTEGRATOR", "OPS", "VIEWER", "staff", "stranger", "nobody")


@dataclass(frozen=True, slots=True)
class World:
    ours: Org
    config: dict[str, Any]
    connection: ERPConnection

    def draft(self, status: DraftStatus = DraftStatus.APPROVED) -> DraftOrder:
        return factories.draft(self.ours, status=status)


def make_world(folder: Path) -> World:
    """An org that delivers into a folder; `DROPZONE_ROOTS` must allow it."""
    (folder / "in").mkdir()
    org, config = factories.org(), {"mode": "filesystem", "export_path": str(folder / "in")}
    return World(org, config, factories.connection(org, config))


def make_unlimited_world(folder: Path, settings: Any) -> World:
    """For thousands of made-up requests: none is too many, and no host that one names is knocked at."""
    settings.DROPZONE_ROOTS = [str(folder)]
    settings.SFTP_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.LOGINS_PER_MINUTE = settings.WRITES_PER_MINUTE = 1_000_000
    settings.LOGIN_FAILURES_PER_ADDRESS = settings.AXES_FAILURE_LIMIT = 1_000_000
    return make_world(folder)


def of_actor(world, actor):
    if actor == "nobody":
        return None
    if actor == "staff":
        return factories.user(None)
    if actor == "stranger":
        return factories.user(factories.org(), Role.ADMIN)
    return factories.user(world.ours, Role(actor))


def sent(world):
    export = push(world.draft().pk, actor=factories.user(world.ours, Role.OPS), idempotency_key=None).export
    deliver(world.connection.pk)
    return ERPExport.objects.get(pk=export.pk)


def target(world, route, user):
    """The id of an object of our org that is ready for the call; of tokens, of one's own."""
    if "auth/tokens" in route:
        return Token.objects.create(user or factories.user(world.ours))[0].public_id
    if "erp-exports" in route:
        return sent(world).pk
    if "connectors" in route:
        return world.connection.pk
    if "ack-files" in route:
        name = f"ack_{uuid4()}.json"
        return AckFile.objects.create(org=world.ours, connection=world.connection, name=name).pk
    fit = {
        "ready": DraftStatus.NEEDS_REVIEW,
        "reject": DraftStatus.NEEDS_REVIEW,
        "approve": DraftStatus.READY,
        "retry-push": DraftStatus.ERROR,
        "{id}": DraftStatus.READY if route.startswith("DELETE") else DraftStatus.APPROVED,
    }
    return world.draft(fit.get(route.rpartition("/")[2], DraftStatus.APPROVED)).pk
