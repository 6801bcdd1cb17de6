from typing import Any, ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q

from erp_connectors.fields import EncryptedConfigField
from erp_connectors.states import ConnectionStatus
from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet


class ERPConnection(models.Model):
    """Connection of one org to one ERP.

    The columns from ``delivery_lease_token`` on belong to the workers, which write them by conditional updates;
    `save` leaves them alone, so that a form saved meanwhile can't undo a worker's claim.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="connections")
    connector_type = models.CharField(max_length=50)
    config = EncryptedConfigField()
    status = models.CharField(
        max_length=10, choices=ConnectionStatus.choices, default=ConnectionStatus.ACTIVE
    )
    last_test_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_test_success = models.BooleanField(null=True, editable=False)
    test_report = models.JSONField(null=True, editable=False)
    secrets_set_at = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    delivery_lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    delivery_lease_until = models.DateTimeField(null=True, editable=False)
    poll_lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    poll_lease_until = models.DateTimeField(null=True, editable=False)
    circuit_opened_at = models.DateTimeField(null=True, editable=False)
    circuit_reason = models.JSONField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    failures_in_row = models.PositiveIntegerField(default=0, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_poll_at = models.DateTimeField(null=True, editable=False)
    poll_error = models.JSONField(null=True, editable=False)
    poll_retry_at = models.DateTimeField(null=True, editable=False)
    poll_failures_in_row = models.PositiveIntegerField(default=0, editable=False)
    misnamed_answers = models.JSONField(
        default=dict,
        editable=False,
        help_text="Files that the last poll saw in the ack folder and that are probably answers with a wrong name.",
    )
    server_limits = models.JSONField(default=dict, editable=False)

    KIND: ClassVar[str] = "Connection"
    CONFIGURED: ClassVar[tuple[str, ...]] = (
        "connector_type",
        "config",
        "secrets_set_at",
        "status",
        "updated_at",
    )

    objects = OrgScopedQuerySet["ERPConnection"].as_manager()

    class Meta:
        verbose_name = "connection"
        constraints = [
            models.UniqueConstraint(
                fields=["org", "connector_type"],
                condition=Q(status=ConnectionStatus.ACTIVE),
                name="one_active_connection_per_org_and_type",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ConnectionStatus.values), name="connection_status_is_known"
            ),
            models.UniqueConstraint(fields=["org", "id"], name="connection_by_org_and_id"),
        ]
        indexes = [models.Index(fields=["status", "last_poll_at"], name="connection_due_poll")]

    def __str__(self) -> str:
        return f"{self.connector_type} {str(self.id)[:8]}"

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = self.CONFIGURED
        super().save(**kwargs)

    @property
    def circuit_open(self) -> bool:
        return self.circuit_opened_at is not None
