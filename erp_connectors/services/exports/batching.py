"""Work in pages that are bounded in files and in bytes, so that memory is, too."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

MAX_FILES = 200
MAX_BYTES = 16 * 1024 * 1024

ItemT = TypeVar("ItemT")


def by_size(
    items: Iterable[ItemT], size: Callable[[ItemT], int], *, files: int = MAX_FILES, most: int | None = None
) -> Iterator[list[ItemT]]:
    """Yield pages of at most ``files`` items and size ``most`` (`MAX_BYTES`); a larger item is a page of its own."""
    most = MAX_BYTES if most is None else most
    page: list[ItemT] = []
    weight = 0
    for item in items:
        more = size(item)
        if page and (len(page) >= files or weight + more > most):
            yield page
            page, weight = [], 0
        page.append(item)
        weight += more
    if page:
        yield page
