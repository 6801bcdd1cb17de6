"""What a test tells the workers to do, and what it hears back; one JSON text a line."""

from typing import Any

import msgspec


class Run(msgspec.Struct, kw_only=True):
    """Start a process that runs one task. ``plan``: the signal that it sends itself at a point.

    ``constants``: new values of modules' constants, by their dotted names.
    """

    task: str
    connection: str
    plan: dict[str, str] = {}
    lose: dict[str, str] = {}
    settings: dict[str, Any] = {}
    constants: dict[str, int] = {}


class Ended(msgspec.Struct, kw_only=True):
    """``how``: exited, failed (with its traceback), killed, stopped, or hung (and killed for it)."""

    pid: int
    how: str
    said: str = ""
    passed: list[str] = []


class Order(msgspec.Struct, kw_only=True):
    """Either ``run`` a new worker, or ``wake`` the frozen one with this process id; then wait for it."""

    run: Run | None = None
    wake: int = 0
