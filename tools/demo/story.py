"""Steps of the demo: set up, push, wait for the answers, and check the result against the files."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.management.base import CommandError

from erp_connectors.fault_records import english_cause
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import DEFAULT_CONNECTOR_TYPE
from erp_connectors.services.connections import manage
from erp_connectors.services.exports import push
from erp_connectors.simulated_erp import TAKEN
from erp_connectors.states import ConnectionStatus, ExportStatus, FailedAs
from orderflow.orders import approval
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from tools.demo import sftp_server, world
from tools.demo.sftp_server import SftpServer

PASSWORD = "orderflow-demo"  # noqa: S105  # printed for the user of the demo
MIN_ORDERS = 10
MAX_ORDERS = 10
OPEN = (ExportStatus.PENDING, ExportStatus.SENT)


@dataclass(frozen=True, slots=True)
class Place:
    """One org's dropzone: how it is reached, and where its files lie on this machine."""

    org: Org
    connection: ERPConnection
    how: str
    folder: Path


def fill_database() -> None:
    if not world.FIXTURE.exists():
        raise CommandError(f"{world.FIXTURE} is missing; the demo's orders are in it.")
    call_command("migrate", verbosity=0)
    call_command("loaddata", str(world.FIXTURE), verbosity=0)
    # Hashing is slow by design: once is enough here.
    User.objects.update(password=make_password(PASSWORD))


def open_places() -> list[Place]:
    """Return the demo's dropzones, made on first use; start the SFTP server.

    If a user has replaced a connection of the demo by another, that dropzone is left out: it may lead to a real ERP.
    """
    first, second = Org.objects.order_by("slug")[:2]
    root, sftp_root = world.folder() / "dropzone" / first.slug, world.folder() / "sftp" / second.slug
    for folder in (root / "in", root / "out", sftp_root / "in", sftp_root / "out"):
        folder.mkdir(parents=True, exist_ok=True)
    folders: dict[str, Any] = {
        "mode": "filesystem",
        "export_path": str(root / "in"),
        "ack_path": str(root / "out"),
    }
    server = _sftp_server(second, sftp_root)
    dropzones = [
        (first, folders, "folder", root),
        (second, server.config(), f"sftp://127.0.0.1:{server.port}", sftp_root),
    ]
    connected = [(_connect(org, config), org, how, place) for org, config, how, place in dropzones]
    return [Place(org, connection, how, place) for connection, org, how, place in connected if connection]


def push_orders(place: Place) -> list[UUID]:
    """Push the org's approved orders, in the name of its people; READY ones are approved where they are too few."""
    actor = user_with(place.org, Role.OPS)
    _approve_some(place.org, actor)
    approved = (
        DraftOrder.objects.for_org(place.org).filter(status=DraftStatus.APPROVED).order_by("-created_at")
    )
    drafts = [draft.pk for draft in approved[:MAX_ORDERS]]
    return [push.push(draft_id, actor=actor).export.pk for draft_id in drafts]


def wait_for_answers(exports: Sequence[UUID], *, seconds: float, look: Callable[[str], None]) -> None:
    """Until each is answered or failed, or the time is over."""
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        rows = ERPExport.objects.filter(pk__in=exports)
        counts = {status: rows.filter(status=status).count() for status in ExportStatus}
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        if said != last:
            look(said)
            last = said
        if not any(counts[status] for status in OPEN):
            return
        time.sleep(0.3)


def results(exports: Sequence[UUID]) -> list[ERPExport]:
    rows = ERPExport.objects.filter(pk__in=exports).select_related("draft_order__customer", "org")
    return list(rows.order_by("org__slug", "draft_order__external_order_number"))


def problems(places: Sequence[Place], exports: Sequence[ERPExport]) -> Iterator[str]:
    """Yield each export and folder that did not end as expected."""
    for export in exports:
        place = next(place for place in places if place.org.pk == export.org_id)
        yield from (f"{export.filename}: {problem}" for problem in _problems(place, export))
    answered = {(export.org_id, export.status) for export in exports}
    for place in places:
        if (place.org.pk, ExportStatus.ACKED) not in answered:
            yield f"{place.org.name}: no order was accepted"
    if not any(export.failed_as == FailedAs.REFUSED for export in exports):
        yield "no order was refused, though the simulated ERP refuses some"


def reason(export: ERPExport) -> str:
    """Return the ERP's answer, or the fault."""
    if export.status == ExportStatus.ACKED:
        return export.erp_order_id
    return english_cause(export.error_json) or "no answer yet"


def user_with(org: Org, role: Role) -> User:
    user: User | None = User.objects.for_org(org).filter(role=role, is_active=True).order_by("email").first()
    if user is None:
        raise CommandError(f"{world.FIXTURE.name} holds no user of {org.name} with the role {role}.")
    return user


def logins() -> list[str]:
    """One of each role in each org."""
    users = User.objects.filter(is_active=True).select_related("org").order_by("org__slug", "role", "email")
    one_of_each = {(user.org_id, user.role): user for user in reversed(users)}
    return [
        f"{user.email:34} {user.role or 'platform':11} {user.org.name if user.org else '(all orgs)'}"
        for user in reversed(one_of_each.values())
    ]


def _problems(place: Place, export: ERPExport) -> Iterator[str]:
    accepted, refused = export.status == ExportStatus.ACKED, export.failed_as == FailedAs.REFUSED
    if not (accepted or refused):
        yield f"{export.status}: {reason(export)}"
        return
    wanted = DraftStatus.PUSHED if accepted else DraftStatus.ERROR
    if export.draft_order.status != wanted:
        yield f"its order is {export.draft_order.status}, not {wanted}"
    taken = place.folder / "in" / TAKEN / export.filename
    if not taken.exists() or _sha256(taken.read_bytes()) != export.sha256:
        yield f"{taken} is not the file that was recorded"
    with storages["exports"].open(export.export_storage_key) as copy:
        if _sha256(copy.read()) != export.sha256:
            yield "its archived copy is another file"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _approve_some(org: Org, actor: User) -> None:
    drafts = DraftOrder.objects.for_org(org)
    missing = MIN_ORDERS - drafts.filter(status=DraftStatus.APPROVED).count()
    for draft in drafts.filter(status=DraftStatus.READY).order_by("created_at")[: max(0, missing)]:
        approval.approve(draft.pk, actor=actor)


def _sftp_server(org: Org, root: Path) -> SftpServer:
    """On the port that the connection knows, if it is still free."""
    existing = _active(org)
    port = int(existing.config.get("port", 0)) if existing else 0
    return sftp_server.start(root, world.folder() / "sftp" / "keys", port=port)


def _connect(org: Org, config: dict[str, Any]) -> ERPConnection | None:
    """Return the demo's connection of ``org``, None if a user has replaced it."""
    existing, actor = _active(org), user_with(org, Role.ADMIN)
    if existing is None:
        return manage.create_connection(org, DEFAULT_CONNECTOR_TYPE, config, actor=actor)
    if _is_users_own(existing, config):
        return None
    return manage.change_connection(existing.pk, actor=actor, config=config)


def _is_users_own(existing: ERPConnection, config: dict[str, Any]) -> bool:
    """Compare what stays the same if the checkout was moved and the SFTP server has another port."""
    here, there = (
        (one["mode"], one.get("host"), one.get("host_key"), Path(one["export_path"]).parts[-3:])
        for one in (config, existing.config)
    )
    return here != there


def _active(org: Org) -> ERPConnection | None:
    active: ERPConnection | None = (
        ERPConnection.objects.for_org(org)
        .filter(connector_type=DEFAULT_CONNECTOR_TYPE, status=ConnectionStatus.ACTIVE)
        .first()
    )
    return active
