"""The admin site: Django's, with our name and front page, and without pages that no user needs."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core import checks
from django.http import HttpRequest
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils.module_loading import import_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orderflow.tenancy import scope
from orderflow.translated_model_names import translate_model_names

# Queue rows and schedules are made by the program (one with bad arguments stops all), tokens over the API,
# and groups mean nothing here.
LEFT_OUT = frozenset({"django_q", "knox", "access", "axes", "auth", "second_factor"})
# The daily work first.
ORDER = ("orders", "erp_connectors", "notify", "tenancy", "audit")
MODELS = ("DraftOrder", "Customer", "Document", "ERPExport", "AckFile", "ERPConnection")


class OrderFlowAdminSite(AdminSite):
    site_header = "OrderFlow"
    site_title = "OrderFlow"
    index_title = _("Overview")
    site_url = None
    # So that a style sheet can leave out what holds nothing.
    empty_value_display = mark_safe('<span class="empty">-</span>')  # no text of anybody

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        ours = [model for model in models if model._meta.app_label not in LEFT_OUT]
        super().register(ours, admin_class, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from orderflow.second_factor.urls import urls_of  # noqa: PLC0415  # its models are not there yet

        return [*urls_of(self), *super().get_urls()]

    @scope.everything()  # before the login there is no user, and it may be any org's
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's, but for the view, which may ask for a code."""
        from orderflow.second_factor.login import password_page  # noqa: PLC0415  # its models are not there yet

        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {
            **self.each_context(request),
            "title": gettext("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
        }
        if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        return password_page(request, {**context, **(extra_context or {})})

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        page: Callable[[HttpRequest, dict[str, Any]], TemplateResponse] = import_string(
            settings.ADMIN_INDEX_PAGE
        )
        return page(
            request, {**self.each_context(request), "title": self.index_title, **(extra_context or {})}
        )

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        from orderflow.user_admin.own_password import own_password_page  # noqa: PLC0415  # its models are not there yet

        return own_password_page(request, {**self.each_context(request), **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda model: _place(model["object_name"], MODELS))
        return sorted(apps, key=lambda app: _place(app["app_label"], ORDER))


def _place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)


class OrderFlowAdminConfig(SimpleAdminConfig):
    """Leave the pages' modules to `orderflow.urls`: workers and most commands start in half the time without them."""

    default_site = "orderflow.site.OrderFlowAdminSite"

    def ready(self) -> None:
        translate_model_names()
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_pages, checks.Tags.admin)


def _check_pages(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return list(check_admin_app(app_configs, **options))
