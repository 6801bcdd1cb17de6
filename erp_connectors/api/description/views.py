"""The JSON Schemas of order files and answers, so that an ERP's programmers need no copy of our repository."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import get_language, get_supported_language_variant
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erp_connectors.api.common.strict import Strict
from erp_connectors.registry import connector_for, connector_types


class FileSchema(Strict, APIView):
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


_descriptions: dict[tuple[str, str], bytes] = {}


class Description(Strict, SpectacularAPIView):
    """The OpenAPI description: the same for all, and a quarter of a second's work, so it is made once per process."""

    permission_classes = [AllowAny]
    query_parameters = ("lang",)

    def _get_schema_response(self, request: Request) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        language = get_supported_language_variant(get_language() or settings.LANGUAGE_CODE)
        key = (language, renderer.media_type)
        if key not in _descriptions:
            described = self.generator_class(urlconf=self.urlconf).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
            _descriptions[key] = renderer.render(described, renderer_context={})
        return HttpResponse(_descriptions[key], content_type=renderer.media_type)


class DescriptionPage(Strict, SpectacularSwaggerSplitView):
    """Its script and style are files of their own: the content security policy allows nothing inline."""

    permission_classes = [AllowAny]
    query_parameters = ("lang", "script")
    url_name = "api-schema"
    template_name = "erp_connectors/api_docs.html"


def _published() -> dict[str, Any]:
    schemas = [connector_for(type_).schemas() for type_ in connector_types()]
    every = [schema for each in schemas for schema in (each.export, each.ack) if schema is not None]
    return {str(schema["$id"]): schema for schema in every}
