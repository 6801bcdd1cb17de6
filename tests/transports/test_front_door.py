"""A transport raises nothing but `Fault`, whatever the code behind its front door does."""

from collections.abc import Callable
from operator import methodcaller
from typing import Any

import pytest
import structlog

from erp_connectors.faults import CONNECTION_LOST, Fault, Scope
from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.front_door import GUARDED
from erp_connectors.transports.memory import MemoryDropzone, MemoryTransport

MOVES = [Move("/in/a", "/in/b"), Move("/in/c", "/in/d")]
BATCHES = {
    "stage": lambda transport: transport.stage([Upload("/in/a", b""), Upload("/in/b", b"")]),
    "publish": lambda transport: transport.publish(MOVES),
    "exists": lambda transport: transport.exists(["/in/a", "/in/b"]),
    "read": lambda transport: transport.read(["/in/a", "/in/b"], max_bytes=1),
    "move": lambda transport: transport.move(MOVES),
    "remove": lambda transport: transport.remove(["/in/a", "/in/b"]),
}
RAISING: dict[str, Callable[[Any], Any]] = {
    "_list": lambda transport: list(transport.list("/in")),
    "_make_folder": lambda transport: transport.make_folder("/in/x"),
    "open_steps": lambda transport: transport.open(),
    "__init__": lambda transport: type(transport).create(None, TransportPolicy()),
    "at": lambda transport: transport.at("memory://"),
    "destination": lambda transport: transport.destination("/in"),
    "expect": lambda transport: transport.expect(1),
    "guarantee": lambda transport: transport.guarantee(atomic_write=True),
    "publish_until": lambda transport: transport.publish_until(0.0),
    "respect": lambda transport: transport.respect(transport.limits()),
    **{
        name: methodcaller(name)
        for name in (
            "limits",
            "extensions",
            "planned_steps",
            "presented_keys",
            "remarks",
            "renewed",
            "server_key",
        )
    },
}


def broken(name, error):
    """Return an opened transport whose method of this name raises, and the list of its calls of `close`."""
    closed = []

    def method(self, *args, **options):
        raise error

    method.__name__ = name

    class Closable(MemoryTransport):
        def close(self):
            closed.append(self)

    transport = Closable(MemoryDropzone(folders={"/", "/in"}))
    transport.__class__ = type("Broken", (Closable,), {name: method})
    return transport, closed


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), StopIteration()], ids=repr)
@pytest.mark.parametrize("call", BATCHES)
def test_a_batch_that_raises_is_an_internal_error_for_each_file(call, error):
    transport, closed = broken(f"_{call}", error)

    with structlog.testing.capture_logs() as logged:
        outcomes = BATCHES[call](transport)

    assert [(fault.code, fault.scope) for fault in outcomes] == [("INTERNAL_ERROR", Scope.CONNECTION)] * 2
    assert str(outcomes[0].detail) == f"{type(error).__name__} in {call}."
    assert closed == [transport], "its session may be out of step with the server"
    assert [line["event"] for line in logged] == ["transport.internal_error"]


@pytest.mark.parametrize("call", BATCHES)
def test_too_few_answers_are_no_answers(call, monkeypatch):
    transport = MemoryTransport(MemoryDropzone(folders={"/", "/in"}))
    monkeypatch.setattr(MemoryTransport, f"_{call}", lambda *args, **options: [None])

    assert [fault.code for fault in BATCHES[call](transport)] == ["INTERNAL_ERROR"] * 2


@pytest.mark.parametrize("call", RAISING)
def test_any_other_call_raises_an_internal_error(call):
    transport, closed = broken(call, KeyError("secret"))

    with pytest.raises(Fault) as caught:
        RAISING[call](transport)

    assert (caught.value.code, caught.value.scope) == ("INTERNAL_ERROR", Scope.CONNECTION)
    assert "secret" not in caught.value.message
    assert closed == ([] if call == "__init__" else [transport])


def test_closing_and_resuming_raise_nothing_as_they_happen_for_other_connections():
    for name in ("close", "resume"):
        transport, _ = broken(name, KeyError("secret"))
        assert not getattr(transport, name)()


def test_a_listing_that_breaks_in_the_middle_keeps_what_came_before():
    class Breaking(MemoryTransport):
        def _list(self, folder):
            yield from super()._list(folder)
            raise ValueError("secret")

    zone = MemoryDropzone(folders={"/", "/in"})
    zone.write("/in/a", b"")
    names = Breaking(zone).list("/in")

    assert next(names).name == "a"
    with pytest.raises(Fault, match="ValueError in list"):
        next(names)


@pytest.mark.parametrize("call", BATCHES)
def test_a_fault_stays_what_it_is(call):
    transport, closed = broken(f"_{call}", Fault(CONNECTION_LOST))

    with pytest.raises(Fault) as caught:
        BATCHES[call](transport)

    assert (caught.value.code, closed) == ("CONNECTION_LOST", [])


def test_each_call_of_the_port_is_tried_here():
    assert set(RAISING) >= GUARDED - {"close", "resume"}
