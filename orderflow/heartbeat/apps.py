from django.apps import AppConfig


class HeartbeatConfig(AppConfig):
    name = "orderflow.heartbeat"
