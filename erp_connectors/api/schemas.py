"""The JSON Schemas of order files and answers, so that an ERP's programmers need no copy of our repository."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erp_connectors.registry import connector_for, connector_types


class FileSchema(APIView):
    """One published JSON Schema (draft 2020-12). Open to all, as the format is no secret."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="file_schema",
        tags=["schemas"],
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, name: str) -> Response:
        published = _published()
        if name not in published:
            raise NotFound(f"There is no schema {name!r}; there is {', '.join(sorted(published))}.")
        return Response(published[name])


def _published() -> dict[str, Any]:
    schemas = [connector_for(type_).schemas() for type_ in connector_types()]
    every = [schema for each in schemas for schema in (each.export, each.ack) if schema is not None]
    return {str(schema["$id"]): schema for schema in every}
