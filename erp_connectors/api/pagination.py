"""Pages by cursor."""

from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from erp_connectors.api.parsing import instant

EXAMPLE = "https://orders.example.com/api/v1/draft-orders?cursor=cD0yMDI2LTExLTIz"


class ByCursor(CursorPagination):
    """``limit`` and ``cursor``; stable while rows are added."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500
    # A push of many orders gives all their exports one time; a smaller cutoff would turn pages in a circle there.
    offset_cutoff = 10_000_000

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor: Cursor | None = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                self.require_position(str(cursor.position))
        except (NotFound, ValueError):
            raise ValidationError(
                {"cursor": ["Not a cursor of this list. Follow `next` and `previous` as they are."]}
            ) from None
        return cursor

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

    def get_page_size(self, request: Request) -> int:
        """More than the most gives the most; what is no number is refused rather than taken for the default."""
        given = request.query_params.get(self.page_size_query_param)
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdigit() and given.strip("0")):
            raise ValidationError({"limit": ["Write a whole number of at least 1."]})
        return min(int(given), self.max_page_size) if len(given) < 10 else self.max_page_size

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = {"type": "integer", "minimum": 1, "default": self.page_size}
                parameter["description"] = (
                    f"how many rows; more than {self.max_page_size} gives {self.max_page_size}"
                )
        return parameters

    def require_position(self, position: str) -> None:
        """Raises `ValueError` for what the first column of the order can't be."""


class NewestFirst(ByCursor):
    ordering = ("-created_at", "-id")

    def require_position(self, position: str) -> None:
        instant(position)


class ByName(ByCursor):
    ordering = ("name", "id")

    def require_position(self, position: str) -> None:
        if "\0" in position:
            raise ValueError("no name holds a NUL")


class OldestFirst(ByCursor):
    """Of rows that are numbered as they are added."""

    ordering = ("id",)

    def require_position(self, position: str) -> None:
        if not 0 <= int(position) < 2**63:
            raise ValueError("no row has this number")
