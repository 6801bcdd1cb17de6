from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "orderflow.tenancy"
    verbose_name = "Organisations and people"
