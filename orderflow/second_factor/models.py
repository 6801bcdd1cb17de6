"""Second factors and recovery codes. Own tables, because django-otp stores the key in plain text."""

from django.db import models
from django.utils import timezone

from orderflow.second_factor.codes import MAX_WRONG
from orderflow.tenancy.models import User
from orderflow.tenancy.querysets import OrgScopedQuerySet


class SecondFactorQuerySet(OrgScopedQuerySet["SecondFactor"]):
    org_lookup = "user__org"


class RecoveryCodeQuerySet(OrgScopedQuerySet["RecoveryCode"]):
    org_lookup = "factor__user__org"


class SecondFactor(models.Model):
    """There is none before its owner typed a first right code."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="+")
    secret = models.TextField(help_text="Sealed with the master key, for this person.")
    # No code of this time step or an earlier one is taken any more (RFC 6238, 5.2).
    last_step = models.BigIntegerField()
    # Codes that were wrong since the last right one, wherever they came from.
    wrong_in_a_row = models.PositiveIntegerField(default=0)
    set_up_at = models.DateTimeField(default=timezone.now)

    objects = SecondFactorQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.user)

    @property
    def takes_recovery_codes_only(self) -> bool:
        return self.wrong_in_a_row >= MAX_WRONG


class RecoveryCode(models.Model):
    """Deleted when it is used."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)

    objects = RecoveryCodeQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return str(self.factor_id)
