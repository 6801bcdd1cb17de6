"""Filters that the overview links to: a list then shows the very rows that were counted."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from erp_connectors.services.status.attention_queries import STRAY, delayed, doubtful, stray, unresolved


class Unresolved(admin.SimpleListFilter):
    """Failed exports that nothing has resolved yet: all of them, or those that failed alike."""

    title = _("failed and unresolved")
    parameter_name = "unresolved"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name, "")
        narrow = [(chosen, " · ".join(filter(None, chosen.split(":", 2))))] if ":" in chosen else []
        return [("all", _("Yes")), *narrow]

    def queryset(self, request: HttpRequest, exports: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return exports
        if ":" not in chosen:
            return unresolved(exports)
        failed_as, code, error_code = [*chosen.split(":", 2), ""][:3]
        alike = unresolved(exports).filter(failed_as=failed_as)
        return _with_error(_with_error(alike, "code", code), "params__error_code", error_code)


class Delayed(admin.SimpleListFilter):
    """Exports that wait because each attempt meets a fault: all of them, or those with one fault's code."""

    title = _("delayed by a fault")
    parameter_name = "delayed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name, "")
        return [("all", _("Yes")), *([(chosen, chosen)] if chosen not in ("", "all") else [])]

    def queryset(self, request: HttpRequest, exports: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return exports
        found = delayed(exports, now=timezone.now())
        return found if chosen == "all" else _with_error(found, "code", chosen)


def _with_error(exports: QuerySet[Any], key: str, value: str) -> QuerySet[Any]:
    return exports.filter(**{f"error_json__{key}": value}) if value else exports


class StrayFiles(admin.SimpleListFilter):
    title = _("not applied and unresolved")
    parameter_name = "stray"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status.value, status.label) for status in STRAY]

    def queryset(self, request: HttpRequest, files: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return stray(files, now=timezone.now()).filter(status=chosen) if chosen else files


class ErpNumberDoubtful(admin.SimpleListFilter):
    title = _("doubtful ERP number")
    parameter_name = "erp_number"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, orders: QuerySet[Any]) -> QuerySet[Any]:
        return doubtful(orders, now=timezone.now()) if self.value() else orders
