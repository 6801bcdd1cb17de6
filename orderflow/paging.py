"""Pages of long lists."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from orderflow.generics import Page, Paginator


class IdsFirst(Paginator):
    """Of a queryset; cuts a page out of the ids, so that what a row shows is worked out for the shown rows only."""

    if TYPE_CHECKING:
        object_list: QuerySet[Any]

    def page(self, number: int | str) -> Page:
        number = self.validate_number(number)
        begin = (number - 1) * self.per_page
        ids = list(self.object_list.values_list("pk", flat=True)[begin : begin + self.per_page])
        return Page(self.object_list.filter(pk__in=ids), number, self)
