"""What a test tells the workers to do, and what it hears back; one JSON text a line."""

from typing import Any

import msgspec


class Run(msgspec.Struct, kw_only=True):
    """Start a process that runs one task. ``plan``: the signal that it sends itself at a point."""

    task: str
    connection: str
    plan: dict[str, str] = {}
    lose: dict[str, str] = {}
    settings: dict[str, Any] = {}


class Continue(msgspec.Struct, kw_only=True):
    """Wake a frozen process and wait for its end, or kill it."""

    pid: int
    signal: str


class Ended(msgspec.Struct, kw_only=True):
    """``how``: exited, killed, stopped, or hung (and killed for it)."""

    pid: int
    how: str
    said: str = ""
    passed: list[str] = []


class Order(msgspec.Struct, kw_only=True):
    run: Run | None = None
    proceed: Continue | None = None
