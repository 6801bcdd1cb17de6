"""Pages of long lists."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Q, QuerySet

from orderflow.typing_patches import Page, Paginator

RowT = TypeVar("RowT")


def by_key(
    rows: "QuerySet[Any, RowT]",
    *key: str,
    key_of: Callable[[RowT], tuple[Any, ...]] | None = None,
    size: int = 500,
) -> Iterator[RowT]:
    """Yield every row in the order of a unique ``key`` (default: the primary key), ``size`` rows per statement.

    Use it instead of `QuerySet.iterator`, whose cursor lives in the server's session: behind a pooler in transaction
    mode the next statement may reach another session. ``key_of`` reads the key of rows that are not model instances.
    Rows that are changed or removed while this runs are neither repeated nor skipped.
    """
    names = key or ("pk",)
    get = key_of or (lambda row: tuple(attrgetter(name)(row) for name in names))
    rows, page = rows.order_by(*names), list[RowT]()
    while True:
        page = list((rows.filter(_beyond(names, get(page[-1]))) if page else rows)[:size])
        yield from page
        if len(page) < size:
            return


def _beyond(names: tuple[str, ...], values: tuple[Any, ...]) -> Q:
    """Return the condition for rows that come after ``values`` in the order of ``names``."""
    beyond = Q()
    for i, name in enumerate(names):
        same = dict(zip(names[:i], values[:i], strict=True))
        beyond |= Q(**same, **{f"{name}__gt": values[i]})
    return beyond


class IdsFirst(Paginator):
    """Paginate a queryset by ids first, so that annotations are computed for the shown rows only."""

    if TYPE_CHECKING:
        object_list: QuerySet[Any]

    def page(self, number: int | str) -> Page:
        number = self.validate_number(number)
        begin = (number - 1) * self.per_page
        ids = list(self.object_list.values_list("pk", flat=True)[begin : begin + self.per_page])
        return Page(self.object_list.filter(pk__in=ids), number, self)
