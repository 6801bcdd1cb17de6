"""Pages by cursor, which names the row where a page ended: rows that come meanwhile repeat and hide none."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from django.core.exceptions import ValidationError as Invalid
from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from erp_connectors.api.parsing import instant

# The last: back, with the row itself, from a page whose rows are all gone.
ON, BACK, BACK_FROM_NOTHING = "n", "b", "e"


class Position(NamedTuple):
    """Beside which row a page begins, and whether it goes on or back from there."""

    way: str
    at: str
    id: str


class NewestFirst(CursorPagination):
    """``limit`` and ``cursor``; by a time, and by id where the times are equal."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        assert isinstance(queryset, QuerySet)  # noqa: S101  # for the type checker: there are no other lists
        size = self._limit(request)
        self.base_url = request.build_absolute_uri()
        position = self._position(request, queryset.model)
        back = position is not None and position.way != ON
        if position is not None:
            queryset = queryset.filter(self._beyond(position))
        rows = list(queryset.order_by(*self._order(back=back))[: size + 1])
        more = len(rows) > size
        rows = rows[:size][::-1] if back else rows[:size]
        beginning = position is None or (back and not more)
        end = not back and not more
        self.next_link = "" if end else self._link(ON, rows[-1:], position)
        self.previous_link = "" if beginning else self._link(BACK, rows[:1], position)
        return rows

    def get_next_link(self) -> str | None:
        return self.next_link or None

    def get_previous_link(self) -> str | None:
        return self.previous_link or None

    @property
    def _fields(self) -> tuple[str, str]:
        first, second = (name.removeprefix("-") for name in self.ordering)
        return first, second

    def _order(self, *, back: bool) -> Sequence[str]:
        if not back:
            return self.ordering
        return [name.removeprefix("-") if name[0] == "-" else f"-{name}" for name in self.ordering]

    def _beyond(self, position: Position) -> Q:
        time, key = self._fields
        side = "lt" if self.ordering[0].startswith("-") == (position.way == ON) else "gt"
        or_itself = "e" if position.way == BACK_FROM_NOTHING else ""
        same_time = Q(**{time: position.at, f"{key}__{side}{or_itself}": position.id})
        # What follows from the other two, and what an index can begin at.
        bound = Q(**{f"{time}__{side}e": position.at})
        return bound & (Q(**{f"{time}__{side}": position.at}) | same_time)

    def _link(self, way: str, beside: Sequence[Model], position: Position | None) -> str:
        time, key = self._fields
        if beside:
            at, id_ = getattr(beside[0], time).isoformat(), str(getattr(beside[0], key))
        else:
            way, at, id_ = (BACK_FROM_NOTHING, position.at, position.id) if position else (way, "", "")
        text = urlsafe_b64encode(msgspec.json.encode([way, at, id_])).decode().rstrip("=")
        return replace_query_param(self.base_url or "", self.cursor_query_param, text)

    def _limit(self, request: Request) -> int:
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= self.max_page_size):
            raise ValidationError({"limit": [f"Write a number from 1 to {self.max_page_size}."]})
        return int(text)

    def _position(self, request: Request, model: type[Model]) -> Position | None:
        text = request.query_params.get(self.cursor_query_param)
        if text is None:
            return None
        try:
            body = urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
            way, at, id_ = msgspec.json.decode(body, type=tuple[str, str, str])
            if way not in (ON, BACK, BACK_FROM_NOTHING):
                raise ValueError(way)
            return Position(way, instant(at).isoformat(), str(model._meta.pk.to_python(id_)))
        except (ValueError, Invalid, msgspec.MsgspecError):
            raise ValidationError(
                {"cursor": ["Not a cursor of this list. Follow `next` and `previous` as they are."]}
            ) from None
