"""Web, workers and a simulated ERP together, on the demo's data, until Ctrl-C."""

import signal
import socket
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from orderflow.subprocess_group import SubprocessGroup
from orderflow.tenancy.models import Org
from tools.demo import story, world
from tools.demo.demo import start_background


class Command(BaseCommand):
    help = "Web, workers and a simulated ERP on the demo's data, until Ctrl-C. Not for production."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1; default 8000")
        parser.add_argument(
            "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
            help="a setting to try, such as EMAIL_URL=smtp://127.0.0.1:1025; can be given several times",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if not world.is_inside():
            _require_free(options["port"])
            world.enter(fresh=False, poll_seconds=5, chosen=dict(options["set"]))
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: stopping.set())
        programs: dict[str, SubprocessGroup] = {}
        try:
            self._start(programs, options["port"])
            while not stopping.wait(1):
                world.require_running(programs)
        finally:
            self._print("stopping …")
            world.stop_all(programs, self._print)

    def _start(self, programs: dict[str, SubprocessGroup], port: int) -> None:
        call_command("migrate", verbosity=0)
        if not Org.objects.exists():
            self._print("First start: a fresh database with two wholesalers and their orders …")
            story.fill_database()
        places = story.open_places()
        programs |= start_background(places, refuse_rate=0.2, delay=2.0)
        programs["web"] = world.start_program("web", _web(port))
        _wait_until_it_answers(programs, port)
        self._print(f"Admin:   http://127.0.0.1:{port}/admin/")
        self._print(f"API:     http://127.0.0.1:{port}/api/v1/docs")
        self._print(f"Logins:  password {story.PASSWORD}")
        for login in story.logins():
            self._print(f"  {login}")
        for place in places:
            self._print(f"Files:   {place.org.name}, {place.how}: {place.folder}")
        for org in Org.objects.exclude(pk__in=[place.org.pk for place in places]):
            self._print(f"Files:   {org.name}: not a dropzone of the demo, so no simulated ERP answers there")
        self._print(f"Logs:    {world.folder() / 'logs'}")
        self._print(f"Command: {world.command('doctor')}")
        self._print("Push an approved order; a simulated ERP answers within seconds. Ctrl-C ends everything.")

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ArgumentTypeError(f"{text!r} is no setting; write NAME=VALUE")
    return name, value


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(
                f"Port {port} of 127.0.0.1 can't be used ({error.strerror}). End what uses it, or choose another: "
                f"make serve ARGS='--port {port + 1}'"
            ) from None


def _web(port: int) -> list[str]:
    options = ["--config", "python:orderflow.gunicorn_conf", "--bind", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "gunicorn", "orderflow.wsgi", *options, "--workers", "1"]


def _wait_until_it_answers(programs: dict[str, SubprocessGroup], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        world.require_running(programs)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise CommandError(f"The web server does not answer on port {port}. See {world.log_of('web')}.")
