"""gunicorn with the product's application, in a world of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.jobs.processes import ROOT, World
from tests.servers.processes import free_port, running, wait_until_listening


@contextmanager
def gunicorn(world: World, *arguments: str) -> Iterator[int]:
    """Yield the port of 127.0.0.1 where it listens."""
    port, log = free_port(), world.folder / "web.log"
    bind = ("--bind", f"127.0.0.1:{port}")
    config = ("--config", "python:orderflow.gunicorn_conf")
    command = [sys.executable, "-m", "gunicorn", "orderflow.wsgi", *config, *bind, *arguments]
    with (
        log.open("wb") as output,
        running(command, cwd=ROOT, env=world.env, stdout=output, stderr=output) as process,
    ):
        wait_until_listening(process, port, log=log)
        yield port
