"""Workers that can be killed: a warm process that forks a fresh worker for each order on its standard input.

``python -m tests.crash.worker DATABASE``: starting Django takes long, a fork of a started one does not.
"""

import gc
import os
import signal
import sys
import time
import traceback
from importlib import import_module

import django
import msgspec
from django.conf import settings

from tests.crash.orders import Ended, Order, Run

SECONDS = 120.0
PIPES: dict[int, int] = {}


def main(database: str) -> None:
    django.setup()
    settings.DATABASES["default"]["NAME"] = database
    _warm_up()
    gc.freeze()  # else the first collection in each fork copies all of it
    decoder = msgspec.json.Decoder(Order)
    try:
        for line in sys.stdin.buffer:
            ended = _obey(decoder.decode(line))
            sys.stdout.buffer.write(msgspec.json.encode(ended) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        for pid in PIPES:
            os.kill(pid, signal.SIGKILL)


def _warm_up() -> None:
    """Load whatever a worker will need, so that its fork finds it there: modules, and what is made at its first use."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from django.apps import apps  # noqa: PLC0415
    from django.core.files.storage import storages  # noqa: PLC0415  # all of these need Django
    from django.utils.module_loading import import_string  # noqa: PLC0415

    from erp_connectors import archive, registry, tasks  # noqa: F401, PLC0415
    from erp_connectors.connectors.dropzone_json_v1 import payload  # noqa: PLC0415
    from erp_connectors.transports.s3 import client  # noqa: PLC0415
    from tests.crash import points  # noqa: F401, PLC0415

    for transport in registry.TRANSPORTS.values():
        import_string(transport)
    client.session()
    for connector_type in registry.CONNECTORS:
        registry.connector_for(connector_type)
    storages[archive.ALIAS].exists("anything")
    for model in apps.get_models():
        str(model._base_manager.all().query)  # the tables of its fields, and the SQL compiler
    payload._validator()
    Ed25519PrivateKey.generate().sign(b"")
    "localhost".encode("idna")


def _obey(order: Order) -> Ended:
    if order.run:
        return _wait(_start(order.run))
    os.kill(order.wake, signal.SIGCONT)
    return _wait(order.wake)


def _start(run: Run) -> int:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _live(run, writing)
    os.close(writing)
    PIPES[pid] = reading
    return pid


def _live(run: Run, report: int) -> None:
    """The whole life of a worker, in its own process."""
    from orderflow.tenancy import scope  # noqa: PLC0415  # needs Django
    from tests.crash.points import Points, install  # noqa: PLC0415  # needs Django

    for name, value in run.settings.items():
        setattr(settings, name, value)
    for name, number in run.constants.items():
        module, _, constant = name.rpartition(".")
        setattr(import_module(module), constant, number)
    points = Points(run.plan)
    install(points, lose=run.lose)
    code = 0
    try:
        with scope.everything():  # as in the queue's workers
            said = _task(run)
    except BaseException:  # noqa: BLE001  # a process' edge: it is shown, and the test fails by the code
        said, code = traceback.format_exc(), 1
    os.write(
        report, msgspec.json.encode(Ended(pid=os.getpid(), how="exited", said=said, passed=points.passed))
    )
    os._exit(code)


def _task(run: Run) -> str:
    from uuid import UUID  # noqa: PLC0415

    from erp_connectors.bulk import runs  # noqa: PLC0415  # needs Django
    from erp_connectors.retention import runs as retention  # noqa: PLC0415  # needs Django
    from erp_connectors.services.acks import poll  # noqa: PLC0415  # needs Django
    from erp_connectors.services.delivery import deliver  # noqa: PLC0415  # needs Django

    pk = UUID(run.connection)
    if run.task == "prune":
        return str(retention.work(pk).removed)
    if run.task == "execute_run":
        return str(runs.execute(pk))
    report = deliver.deliver(pk) if run.task == "deliver" else poll.poll(pk)
    return "; ".join(report.lines())


def _wait(pid: int) -> Ended:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        changed, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if changed and os.WIFSTOPPED(status):
            return Ended(pid=pid, how="stopped")
        if changed:
            return _ended(pid, status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(PIPES.pop(pid))
    return Ended(pid=pid, how="hung")


def _ended(pid: int, status: int) -> Ended:
    with os.fdopen(PIPES.pop(pid), "rb") as report:
        said = report.read()
    if os.WIFSIGNALED(status):
        return Ended(pid=pid, how="killed")
    if not said or os.WEXITSTATUS(status):
        return Ended(pid=pid, how="failed", said=said.decode(errors="replace"))
    return msgspec.json.decode(said, type=Ended)


if __name__ == "__main__":
    main(sys.argv[1])
