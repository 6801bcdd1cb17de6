"""The API's root, with links for programmers who start there."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erp_connectors.api.common.strict import Strict

# By the name of its route.
ENTRIES = {
    "documentation": "api-docs",
    "schema": "api-schema",
    "login": "api-login",
    "me": "api-me",
    "draft_orders": "draftorder-list",
    "erp_exports": "erpexport-list",
    "ack_files": "ackfile-list",
    "customers": "customer-list",
    "connectors": "erpconnection-list",
    "audit_log": "auditlog-list",
}


class IndexOut(serializers.Serializer[Any]):
    version = serializers.CharField()
    links = serializers.DictField(child=serializers.URLField(), help_text="where to go on")


class Index(Strict, APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="index", tags=["index"], responses=IndexOut)
    def get(self, request: Request) -> Response:
        """Links to the description and the lists."""
        links = {name: request.build_absolute_uri(reverse(route)) for name, route in ENTRIES.items()}
        return Response(IndexOut({"version": "1", "links": links}).data)


class IndexWithoutSlash(Index):
    """The same at `/api/v1`; the description names one of them."""

    schema = None
