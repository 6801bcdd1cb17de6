"""Named places where a test kills or freezes this process. In production nothing listens."""

from collections.abc import Callable

listener: Callable[[str], None] | None = None


def crashpoint(name: str) -> None:
    if listener is not None:
        listener(name)
