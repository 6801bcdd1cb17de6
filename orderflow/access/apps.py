from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "orderflow.access"
