"""Our admin site: Django's own, with our name and without pages that nobody should use."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig

# Queue rows and schedules are made by the program (one with bad arguments stops all), tokens over the API,
# and groups mean nothing here.
LEFT_OUT = frozenset({"django_q", "knox", "access", "axes", "auth"})


class OrderFlowAdminSite(AdminSite):
    site_header = "OrderFlow ERP dropzone"
    site_title = "OrderFlow"
    index_title = "Overview"
    site_url = None

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        ours = [model for model in models if model._meta.app_label not in LEFT_OUT]
        super().register(ours, admin_class, **options)


class OrderFlowAdminConfig(AdminConfig):
    default_site = "orderflow.site.OrderFlowAdminSite"
