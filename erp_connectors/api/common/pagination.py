"""Pages by cursor, which names the row where a page ended: rows that come meanwhile repeat and hide none."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.core.exceptions import ValidationError as Invalid
from django.db.models import DateTimeField, Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from erp_connectors.api.common.parsing import instant

EXAMPLE = "https://orders.example.com/api/v1/draft-orders?cursor=cD0yMDI2LTExLTIz"
# The last: back, with the row itself, from a page whose rows are all gone.
ON, BACK, BACK_FROM_NOTHING = "n", "b", "e"


class Position(NamedTuple):
    """Beside which row a page begins, and whether it goes on or back from there."""

    way: str
    values: tuple[Any, ...]


class ByCursor(CursorPagination):
    """``limit`` and ``cursor``; ``ordering`` ends with a column that no two rows share, and goes one way."""

    ordering: tuple[str, ...]
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 100

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
    def _fields(self) -> list[str]:
        return [name.removeprefix("-") for name in self.ordering]

    def _order(self, *, back: bool) -> Sequence[str]:
        falling = self.ordering[0].startswith("-") != back
        return [f"-{name}" if falling else name for name in self._fields]

    def _beyond(self, position: Position) -> Q:
        side = "lt" if self.ordering[0].startswith("-") == (position.way == ON) else "gt"
        *first, last = zip(self._fields, position.values, strict=True)
        or_itself = "e" if position.way == BACK_FROM_NOTHING else ""
        condition = Q(**{f"{last[0]}__{side}{or_itself}": last[1]})
        for name, value in first:
            # The bound follows from the rest, and is what an index can begin at.
            bound = Q(**{f"{name}__{side}e": value})
            condition = bound & (Q(**{f"{name}__{side}": value}) | Q(**{name: value}) & condition)
        return condition

    def _link(self, way: str, beside: Sequence[Model], position: Position | None) -> str:
        if beside:
            values: list[Any] = [getattr(beside[0], name) for name in self._fields]
        else:
            way, values = BACK_FROM_NOTHING, list(position.values if position else ())
        body = msgspec.json.encode([way, *map(_written, values)])
        text = urlsafe_b64encode(body).decode().rstrip("=")
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
            way, *texts = msgspec.json.decode(body, type=list[str])
            if way not in (ON, BACK, BACK_FROM_NOTHING):
                raise ValueError(way)
            named = zip(self._fields, texts, strict=True)
            return Position(way, tuple(_read(model, name, text) for name, text in named))
        except (ValueError, Invalid, msgspec.MsgspecError):
            raise ValidationError(
                {"cursor": ["Not a cursor of this list. Follow `next` and `previous` as they are."]}
            ) from None

    def get_schema_operation_parameters(self, view: Any) -> Any:
        limit = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        cursor = {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"}
        schemas = {self.page_size_query_param: limit, self.cursor_query_param: cursor}
        return [
            {**described, "schema": schemas[described["name"]]}
            for described in super().get_schema_operation_parameters(view)
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "follow it as it is", "example": EXAMPLE},
                "previous": {**link, "description": "the page before", "example": None},
                "results": schema,
            },
        }


class NewestFirst(ByCursor):
    ordering = ("-created_at", "-id")


class NewestSeenFirst(ByCursor):
    ordering = ("-first_seen_at", "-id")


class ByName(ByCursor):
    ordering = ("name", "id")


class OldestFirst(ByCursor):
    """Order rows that are numbered in the order of insertion."""

    ordering = ("id",)


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read(model: type[Model], name: str, text: str) -> Any:
    """Raises `ValueError` or Django's error for what this column can't be."""
    field = model._meta.get_field(name)
    if isinstance(field, DateTimeField):
        return instant(text)
    value = field.to_python(text)  # type: ignore[union-attr]  # no relation from elsewhere
    if isinstance(value, int) and not 0 <= value < 2**63:
        raise ValueError("no row has this number")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("no text holds a NUL")
    return value
