"""A transport with a bug holds the orders of its own connection, loses none, and delays no other connection."""

from contextlib import contextmanager

import pytest

from erp_connectors import registry
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.deadlines import mark_overdue
from erp_connectors.services.exports.payload_store import bytes_of
from erp_connectors.states import ExportStatus
from erp_connectors.transports.filesystem import FilesystemTransport
from orderflow import clock
from tests.services.delivery.test_deliver import later, pushed

HOLD_DELIVERY = (
    "parse",
    "__init__",
    "respect",
    "expect",
    "open_steps",
    "destination",
    "at",
    "enter",
    "leave",
    "_stage",
    "remarks",
    "server_key",
    "_publish",
)
STOP_POLLS = ("parse", "__init__", "respect", "_list", "_read")
CALLS = sorted(
    {
        *HOLD_DELIVERY,
        *STOP_POLLS,
        "_exists",
        "_move",
        "_remove",
        "_make_folder",
        "limits",
        "renewed",
        "resume",
        "close",
    }
)


class Bug:
    """The call in which `BuggyTransport` raises, and the error."""

    call = ""
    error: type[Exception] = ValueError


def _maybe_raising(name):
    original = getattr(FilesystemTransport, name)

    def method(self, *args, **options):
        if name == Bug.call:
            raise Bug.error("with a secret")
        return original(self, *args, **options)

    method.__name__ = name
    return method


@contextmanager
def _in_folder(transport, destination):
    if Bug.call == "enter":
        raise Bug.error("with a secret")
    with FilesystemTransport.at(transport, destination):
        yield
    if Bug.call == "leave":
        raise Bug.error("with a secret")


def _at(self, destination):
    if Bug.call == "at":
        raise Bug.error("with a secret")
    return _in_folder(self, destination)


_at.__name__ = "at"


def _parse(cls, raw):
    if Bug.call == "parse":
        raise Bug.error("with a secret")
    return cls.Options()


BuggyTransport = type(
    "BuggyTransport",
    (FilesystemTransport,),
    {
        **{name: _maybe_raising(name) for name in CALLS if name not in ("parse", "at", "enter", "leave")},
        "at": _at,
        "parse": classmethod(_parse),
    },
)


@pytest.fixture
def buggy(make_site, monkeypatch):
    monkeypatch.setitem(registry.TRANSPORTS, "buggy", f"{__name__}.BuggyTransport")
    yield make_site(mode="buggy")
    Bug.call = ""


@pytest.mark.not_of_database
@pytest.mark.parametrize("error", [ValueError, KeyError])
@pytest.mark.parametrize("call", CALLS)
def test_it_holds_its_own_connection_only_and_no_order_is_lost(buggy, make_site, settings, call, error):
    settings.DELIVERY_MAX_ATTEMPTS = 2
    other = make_site()
    exports = pushed(buggy, 2)
    (buggy.acks / "ack_unknown.json").write_bytes(b"{}")
    Bug.call, Bug.error = call, error

    for _ in range(settings.DELIVERY_MAX_ATTEMPTS + 2):
        report = deliver(buggy.connection.pk)
        polled = poll(buggy.connection.pk)
        assert report.failed == 0
        later(buggy.connection)
    others = pushed(other, 2)
    assert deliver(other.connection.pk).sent == 2
    mark_overdue(clock.now())

    row = ERPConnection.objects.get(pk=buggy.connection.pk)
    if call in HOLD_DELIVERY:
        assert {(one.status, one.error_json["code"]) for one in fresh(exports)} == {
            (ExportStatus.PENDING, "INTERNAL_ERROR")
        }
        assert row.circuit_reason["code"] == "INTERNAL_ERROR"
        assert error.__name__ in report.held
        assert "secret" not in report.held
    else:
        assert {one.status for one in fresh(exports)} == {ExportStatus.SENT}
    if call in STOP_POLLS:
        assert row.poll_error["code"] == "INTERNAL_ERROR"
        assert error.__name__ in polled.error
    assert {one.status for one in fresh(others)} == {ExportStatus.SENT}

    Bug.call = ""
    deliver(buggy.connection.pk)

    assert {one.status for one in fresh(exports)} == {ExportStatus.SENT}
    assert buggy.published() == {one.filename: bytes_of(one) for one in fresh(exports)}
    assert buggy.leftovers() == []
    assert not ERPConnection.objects.get(pk=buggy.connection.pk).circuit_open


def fresh(exports):
    return list(ERPExport.objects.filter(pk__in=[export.pk for export in exports]))


def test_a_connector_that_raises_fails_that_order_only(make_site, settings, monkeypatch):
    settings.DELIVERY_MAX_ATTEMPTS = 2
    site = make_site()
    odd, *others = pushed(site, 3)
    render = DropzoneJsonV1.render

    def buggy(self, order, options):
        if order.draft_order_id == odd.draft_order_id:
            raise KeyError("with a secret")
        return render(self, order, options)

    monkeypatch.setattr(DropzoneJsonV1, "render", buggy)
    assert deliver(site.connection.pk).sent == 2
    later(site.connection)
    assert deliver(site.connection.pk).failed == 1

    assert {one.status for one in fresh(others)} == {ExportStatus.SENT}
    (odd,) = fresh([odd])
    assert (odd.status, odd.error_json["code"]) == (ExportStatus.FAILED, "INTERNAL_ERROR")
    assert "secret" not in str(odd.error_json)
