"""Audit log: who did what, when, from where. Rows are only added."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet

if TYPE_CHECKING:
    _CharField = models.CharField[Any, Any]
else:
    _CharField = models.CharField


class Action(models.TextChoices):
    DRAFT_APPROVED = "DRAFT_APPROVED", _("Order approved")
    APPROVAL_REVERTED = "APPROVAL_REVERTED", _("Approval revoked")
    DRAFT_DELETED = "DRAFT_DELETED", _("Order deleted")
    DRAFT_PUSH_REQUESTED = "DRAFT_PUSH_REQUESTED", _("Push requested")
    DRAFT_PUSHED = "DRAFT_PUSHED", _("Order pushed")
    DRAFT_PUSH_FAILED = "DRAFT_PUSH_FAILED", _("Push failed")
    DRAFT_PUSH_RETRIED = "DRAFT_PUSH_RETRIED", _("Push retried")
    EXPORT_ACKED = "EXPORT_ACKED", _("Export acked")
    EXPORT_REFUSED = "EXPORT_REFUSED", _("Export refused")
    EXPORT_MOVED = "EXPORT_MOVED", _("Export moved to another connection")
    DISMISSED = "DISMISSED", _("Dismissed")
    CONNECTION_CREATED = "CONNECTION_CREATED", _("Connection created")
    CONNECTION_CHANGED = "CONNECTION_CHANGED", _("Connection changed")
    CONNECTION_TESTED = "CONNECTION_TESTED", _("Connection tested")
    CONNECTION_DISABLED = "CONNECTION_DISABLED", _("Connection disabled")
    HOST_KEY_PINNED = "HOST_KEY_PINNED", _("Host key pinned")
    SUBSCRIPTION_CREATED = "SUBSCRIPTION_CREATED", _("Notifications set up")
    SUBSCRIPTION_CHANGED = "SUBSCRIPTION_CHANGED", _("Notifications changed")
    SUBSCRIPTION_DELETED = "SUBSCRIPTION_DELETED", _("Notifications removed")
    SUBSCRIPTION_TESTED = "SUBSCRIPTION_TESTED", _("Notifications tested")
    WEBHOOK_SECRET_REPLACED = "WEBHOOK_SECRET_REPLACED", _("Webhook secret replaced")
    KEYS_ROTATED = "KEYS_ROTATED", _("Keys rotated")
    CONTENTS_REMOVED = "CONTENTS_REMOVED", _("Contents removed by retention")
    LOGIN_SUCCEEDED = "LOGIN_SUCCEEDED", _("Login succeeded")
    LOGIN_FAILED = "LOGIN_FAILED", _("Login failed")
    USER_CREATED = "USER_CREATED", _("User created")
    USER_CHANGED = "USER_CHANGED", _("User changed")
    PASSWORD_CHANGED = "PASSWORD_CHANGED", _("Password changed")  # no secret
    USER_UNLOCKED = "USER_UNLOCKED", _("User unlocked")
    SECOND_FACTOR_SET_UP = "SECOND_FACTOR_SET_UP", _("Second factor set up")
    SECOND_FACTOR_REMOVED = "SECOND_FACTOR_REMOVED", _("Second factor turned off")
    SECOND_FACTOR_RESET = "SECOND_FACTOR_RESET", _("Second factor reset")
    RECOVERY_CODE_USED = "RECOVERY_CODE_USED", _("Recovery code used")
    RECOVERY_CODES_RENEWED = "RECOVERY_CODES_RENEWED", _("Recovery codes renewed")


class ActionField(_CharField):
    """Store an `Action`; raise ValueError on any other value.

    Migrations see a plain CharField, so that a new action needs no migration.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"max_length": 40, "choices": Action.choices})

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, options = super().deconstruct()
        return name, "django.db.models.CharField", args, {"max_length": options["max_length"]}

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return super().get_db_prep_save(Action(value).value, connection)


class AppendOnly(Exception):
    """The audit log is never changed."""


class AuditLogQuerySet(OrgScopedQuerySet["AuditLog"]):
    def update(self, **values: Any) -> NoReturn:
        raise AppendOnly("An audit entry can't be changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("An audit entry can't be deleted.")


class AuditLog(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, null=True, related_name="audit_log")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    action = ActionField()
    entity_type = models.CharField(max_length=50, blank=True, default="")
    entity_id = models.CharField(max_length=64, blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AuditLogQuerySet.as_manager()

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [
            models.Index(fields=["org", "-created_at"], name="audit_by_org"),
            models.Index(fields=["org", "action", "-created_at"], name="audit_by_action"),
            models.Index(fields=["entity_type", "entity_id", "-created_at"], name="audit_by_entity"),
            # Platform staff read all orgs' together.
            models.Index(fields=["-created_at"], name="audit_by_time"),
            # The API asks by these alone; an id is unique without its type.
            models.Index(fields=["entity_id"], name="audit_by_entity_id"),
            models.Index(fields=["request_id"], name="audit_by_request", condition=~models.Q(request_id="")),
        ]

    def __str__(self) -> str:
        return f"{localtime(self.created_at):%Y-%m-%d %H:%M:%S} {self.get_action_display()}"

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("An audit entry can't be changed.")
        super().save(**kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("An audit entry can't be deleted.")
