"""Test a connection step by step, as delivery and acks will use it, and leave nothing behind."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction

from erp_connectors import circuit
from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzone_paths import folder_of, join, probe_name
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import (
    FOLDER_MISSING,
    INTERNAL_ERROR,
    NOT_FOUND,
    PERMISSION_DENIED,
    REMOTE_FAILURE,
    Fault,
)
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.port_types import Guarantee, GuaranteeLevel, Move, ProbeStep, ServerCapability, Upload
from erp_connectors.registry import open_transport
from erp_connectors.services.connections import capabilities
from erp_connectors.services.connections.ack_folders import ERROR, PROCESSED, retry_moves
from erp_connectors.services.connections.capabilities import record_capability
from erp_connectors.services.connections.credential_rollover import store_renewed
from erp_connectors.services.connections.server_limits import as_row
from erp_connectors.services.connections.test_report import (
    ACK_STEP,
    CAPABILITIES_STEP,
    CONFIG_STEP,
    EXPORT_STEP,
    OPEN_STEP,
    ProbeReport,
)
from erp_connectors.states import ExportStatus
from erp_connectors.transports.base import ServerLimits, Transport
from orderflow import clock, jobs
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.messages import Message
from orderflow.tenancy.models import User

log = structlog.get_logger(__name__)

# A transport of another package may raise anything.
UNEXPECTED = "connection_test.internal_error"
PROBE_BODY = b'{"test": "connection"}\n'
RENAME_PAUSE = 1.5


def test_connection(connection_id: UUID, *, actor: User | None) -> list[ProbeStep]:
    """Run every step up to the first that fails, record the result, and on success let the queue go on."""
    return list(run_test(connection_id, actor=actor))


def run_test(connection_id: UUID, *, actor: User | None) -> Iterator[ProbeStep]:
    """Do what `test_connection` does, and yield each step when it is done.

    The result is not recorded if the test is abandoned, or if the connection was changed meanwhile.
    """
    connection = ERPConnection.objects.get(pk=connection_id)
    steps: list[ProbeStep] = []
    met = ServerLimits()

    def done(transport: Transport) -> None:
        nonlocal met
        if renewed := transport.renewed():
            store_renewed(connection.pk, renewed)
            connection.refresh_from_db(fields=["updated_at"])
        met = transport.limits()

    try:
        # Earlier limits may no longer apply, so a test starts without any.
        for step in probe_steps(replace(dropzone_of(connection), limits=ServerLimits()), done=done):
            steps.append(step)
            yield step
    except Fault as fault:
        steps = [ProbeStep(*CONFIG_STEP, 0, fault=fault)]
        yield steps[0]
    _record(connection, steps, met, actor)


def planned_steps(connection: ERPConnection) -> list[tuple[str, str]]:
    """Return names and labels of the steps of `run_test`, if none fails."""
    try:
        dropzone = dropzone_of(connection)
        opening = open_transport(dropzone).planned_steps()
    except Fault:
        return []
    except Exception:
        log.exception(UNEXPECTED)
        return []
    return [*opening, EXPORT_STEP, *([ACK_STEP] if dropzone.ack_path else []), CAPABILITIES_STEP]


def probe_steps(
    dropzone: Dropzone, *, done: Callable[[Transport], None] | None = None
) -> Iterator[ProbeStep]:
    """Yield each step when it is done, up to the first that fails. ``done`` gets the transport at the end."""
    try:
        transport = open_transport(dropzone)
    except Fault as fault:
        yield ProbeStep(*OPEN_STEP, 0, fault=fault)
        return
    except Exception as error:
        log.exception(UNEXPECTED)
        yield ProbeStep(*OPEN_STEP, 0, fault=_internal(error))
        return
    try:
        for step in _open_steps(transport):
            yield step
            if not step.ok:
                return
        yield from _folder_steps(transport, dropzone)
    finally:
        if done:
            done(transport)
        transport.close()


def _open_steps(transport: Transport) -> Iterator[ProbeStep]:
    try:
        yield from transport.open_steps()
    except Fault as fault:
        yield ProbeStep(*OPEN_STEP, 0, fault=fault)
    except Exception as error:
        log.exception(UNEXPECTED)
        yield ProbeStep(*OPEN_STEP, 0, fault=_internal(error))


def _internal(error: Exception) -> Fault:
    """Return the fault for what no transport should raise. The text may hold secrets, so only the log has it."""
    return Fault(INTERNAL_ERROR, f"{type(error).__name__}.")


def _folder_steps(transport: Transport, dropzone: Dropzone) -> Iterator[ProbeStep]:
    guarantees: list[Guarantee] = []
    step = _timed(EXPORT_STEP, lambda found: _try_export_folder(transport, dropzone, guarantees))
    yield replace(step, guarantee=guarantees[0] if guarantees else None)
    if step.ok and dropzone.ack_path:
        step = _timed(ACK_STEP, lambda found: _try_ack_folder(transport, dropzone, found))
        yield step
    if step.ok:
        yield _timed(CAPABILITIES_STEP, lambda found: capabilities.detect(transport, dropzone, found))


def require_usable(transport: Transport, dropzone: Dropzone) -> None:
    """Raise the `Fault` that keeps files from being written on an open transport. Nothing is published for it."""
    path = join(dropzone.export_path, probe_name("written", now=clock.now()))
    try:
        _raise_first(transport.stage([Upload(path, PROBE_BODY, dropzone.file_mode)]))
    finally:
        transport.remove([path])


def _timed(step: tuple[str, str], check: Callable[[list[ServerCapability]], Message]) -> ProbeStep:
    started, able = time.perf_counter(), list[ServerCapability]()
    found: Message | None = None
    fault: Fault | None = None
    try:
        found = check(able)
    except Fault as error:
        fault = error
    except Exception as error:
        log.exception(UNEXPECTED)
        fault = _internal(error)
    return ProbeStep(
        *step, round((time.perf_counter() - started) * 1000), found, fault, server_capabilities=tuple(able)
    )


def _try_export_folder(transport: Transport, dropzone: Dropzone, guarantees: list[Guarantee]) -> Message:
    """Write, rename and remove a test file, under names that no reader takes for an order.

    Append the guarantee of the transport if that worked.
    """
    folder, now = dropzone.export_path, clock.now()
    written = here = join(folder, probe_name("written", now=now))
    try:
        _raise_first(transport.stage([Upload(written, PROBE_BODY, dropzone.file_mode)]))
        remarks = [*transport.remarks()]
        if dropzone.atomic_write:
            here = join(folder, probe_name("renamed", now=now))
            remarks += _rename(lambda: transport.publish([Move(written, here)]))
    except Fault:
        transport.remove([written, here])
        raise
    (removed,) = transport.remove([here])
    if isinstance(removed, Fault):
        raise removed
    if not removed:
        remarks.append(Message("test.file_was_taken"))
    guarantees.append(transport.guarantee(atomic_write=dropzone.atomic_write))
    return Message(
        "test.file_renamed" if dropzone.atomic_write else "test.file_written",
        folder=dropzone.export_path,
        remarks=tuple(remarks),
        guarantee=_guarantee(guarantees[0], dropzone),
    )


def _guarantee(guarantee: Guarantee, dropzone: Dropzone) -> Message:
    """Return the guarantee for users."""
    if guarantee.level is GuaranteeLevel.EXACTLY_ONCE:
        return Message("guarantee.exactly_once_done" if dropzone.done_marker else "guarantee.exactly_once")
    if dropzone.atomic_write:
        return Message("guarantee.at_least_once", why=guarantee.reason)
    return Message("guarantee.no_rename_done" if dropzone.done_marker else "guarantee.no_rename")


def _try_ack_folder(transport: Transport, dropzone: Dropzone, able: list[ServerCapability]) -> Message:
    ack_path = dropzone.ack_path or ""
    name = probe_name("answer", now=clock.now())
    here = join(ack_path, name)
    with record_capability(able, "ack_list"):
        waiting = sum(1 for _ in transport.list(ack_path))
    with record_capability(able, "ack_write"):
        _raise_first(transport.stage([Upload(here, PROBE_BODY)]))
    try:
        with record_capability(able, "ack_read"):
            _raise_first([_unread(body) for body in transport.read([here], max_bytes=1024)])
        for folder in (PROCESSED, ERROR):
            with record_capability(able, f"ack_{folder}"):
                transport.make_folder(join(ack_path, folder))
                there = join(ack_path, folder, name)
                _rename(partial(transport.move, [Move(here, there)]))
            here = there
    finally:
        (removed,) = transport.remove([here])
        able.append(ServerCapability("ack_delete", not isinstance(removed, Fault)))
    code = "test.ack_folder_with_orders" if dropzone.one_folder else "test.ack_folder"
    return Message(code, folder=ack_path, n=waiting)


def _rename(rename: Callable[[], list[Fault | None]]) -> list[Message]:
    """Rename, and once more after a pause if that was refused; virus scanners hold a new file for a moment.

    Return a remark if it took the second try. Raises the `Fault` of the last one.
    """
    (fault,) = rename()
    if fault is None or fault.kind not in (PERMISSION_DENIED, REMOTE_FAILURE):
        _raise_first([fault])
        return []
    time.sleep(RENAME_PAUSE)
    _raise_first(rename())
    return [Message("test.renamed_at_second_try")]


def _unread(body: bytes | Fault) -> Fault | None:
    return body if isinstance(body, Fault) else None


def _raise_first(outcomes: list[Fault | None]) -> None:
    for fault in outcomes:
        if fault is not None:
            if fault.kind is NOT_FOUND:
                raise Fault(FOLDER_MISSING, fault.detail, path=folder_of(fault.path))
            raise fault


@transaction.atomic
def _record(connection: ERPConnection, steps: list[ProbeStep], met: ServerLimits, actor: User | None) -> None:
    now, ok = clock.now(), all(step.ok for step in steps)
    report = ProbeReport.of(steps, at=now, by=actor.email if actor else "")
    tested = ERPConnection.objects.filter(pk=connection.pk, updated_at=connection.updated_at)
    recorded = tested.update(last_test_at=now, last_test_success=ok, test_report=report.as_row())
    failed = next((step.fault for step in steps if step.fault), None)
    record(
        Entry(
            action=Action.CONNECTION_TESTED,
            org_id=connection.org_id,
            entity_type="ERPConnection",
            entity_id=connection.pk,
            actor=actor,
            after={"success": ok, "code": failed.code if failed else None},
        )
    )
    if ok and recorded:
        ERPConnection.objects.filter(pk=connection.pk).update(server_limits=as_row(met))
        circuit.success(connection.pk, now=now)
        retry_moves(connection.pk)
        ERPExport.objects.filter(connection=connection, status=ExportStatus.PENDING).exclude(
            next_attempt_at=None
        ).update(next_attempt_at=None)
        jobs.wake(jobs.Task.DELIVER, str(connection.pk))
