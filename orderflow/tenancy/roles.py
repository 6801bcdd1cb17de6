"""The table of roles and their capabilities."""

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    ADMIN = "ADMIN", _("Admin")
    INTEGRATOR = "INTEGRATOR", _("Integrator")
    OPS = "OPS", _("Operations")
    VIEWER = "VIEWER", _("Viewer")


class Capability(StrEnum):
    READ = "read"
    APPROVE = "approve"
    PUSH = "push"
    CONNECT = "connect"
    AUDIT = "audit"
    ADMINISTER = "administer"


# Verb phrases for "does not allow you to …".
CAPABILITY_ACTIONS: dict[Capability, str] = {
    Capability.READ: "read",
    Capability.APPROVE: "approve orders",
    Capability.PUSH: "push orders",
    Capability.CONNECT: "manage connections",
    Capability.AUDIT: "read the audit log",
    Capability.ADMINISTER: "manage users",
}
CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.ADMIN: frozenset(Capability),
    Role.INTEGRATOR: frozenset({Capability.READ, Capability.CONNECT, Capability.AUDIT}),
    Role.OPS: frozenset({Capability.READ, Capability.APPROVE, Capability.PUSH}),
    Role.VIEWER: frozenset({Capability.READ}),
}
