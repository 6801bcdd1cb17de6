from django.apps import AppConfig


class UserAdminConfig(AppConfig):
    name = "orderflow.user_admin"
