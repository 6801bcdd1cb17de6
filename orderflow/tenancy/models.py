"""Orgs (our tenants) and their users."""

from typing import Any, ClassVar, Self
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password, make_password
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from orderflow.input_rules.fields import OneLineField
from orderflow.tenancy import scope
from orderflow.tenancy.addresses import require_ascii, stored_form
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.roles import CAPABILITIES, Capability, Role


class OrgQuerySet(OrgScopedQuerySet["Org"]):
    org_lookup = "pk"


class Org(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = OneLineField(max_length=200)
    slug = models.SlugField(max_length=60, unique=True)
    settings = models.JSONField(default=dict, blank=True)

    objects = OrgQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def org(self) -> "Org":
        return self


class UserQuerySet(OrgScopedQuerySet["User"]):
    # Platform staff: they act in every org, and its histories name them.
    orgless_are_shown = True

    def by_email(self, email: str) -> Self:
        """Return the user with this address, or none."""
        address = stored_form(email)
        return self.filter(email=address) if address else self.none()


_Manager = BaseUserManager.from_queryset(UserQuerySet)


class UserManager(_Manager["User"]):  # type: ignore[valid-type, unused-ignore]  # a warm cache knows it
    def create_user(
        self,
        email: str,
        password: str | None = None,
        *,
        org: Org | None = None,
        role: str | None = None,
        **extra: Any,
    ) -> "User":
        """Org and role together make a member; neither makes platform staff. Raises `ValidationError`."""
        require_ascii(email)
        user = self.model(email=stored_form(email), org=org, role=role, **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        return self.create_user(email, password, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.by_email(username or "").get()


class User(AbstractBaseUser):  # type: ignore[django-manager-missing, unused-ignore]  # knox has no types
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    email = models.EmailField(unique=True, validators=[require_ascii])
    org = models.ForeignKey(Org, on_delete=models.PROTECT, null=True, blank=True, related_name="users")
    role = models.CharField(max_length=20, choices=Role.choices, null=True, blank=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)
    # How often; each time ends every session that began before.
    sessions_ended = models.PositiveIntegerField(default=0, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        ordering = ["email"]
        constraints = [
            models.CheckConstraint(
                # A check passes when it is unknown, and NULL IN (...) is: hence the second isnull.
                condition=Q(org=None, role=None)
                | Q(org__isnull=False, role__isnull=False, role__in=Role.values),
                name="user_has_org_and_role_or_neither",
                violation_error_message=_(
                    "Choose an organisation and a role, or neither for platform staff."
                ),
            ),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_is_lower_case"),
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_in_any_case_once",
                violation_error_message=_("A user with this e-mail address already exists."),
            ),
        ]

    def __str__(self) -> str:
        return self.email

    # An address is one person's over all orgs, so all are asked.

    @scope.everything()
    def validate_unique(self, *args: Any, **kwargs: Any) -> None:
        super().validate_unique(*args, **kwargs)

    @scope.everything()
    def validate_constraints(self, *args: Any, **kwargs: Any) -> None:
        super().validate_constraints(*args, **kwargs)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # Django's is of the password alone, and a session must not outlive a role or being switched off either.
        return f"{super()._get_session_auth_hash(secret=secret)}.{self.sessions_ended}"  # type: ignore[misc]

    def check_password(self, raw_password: str | None) -> bool:
        """Compare as Django does, but never let the new hash of an old password overwrite a password set meanwhile."""

        def renew_hash(raw: str) -> None:
            renewed = make_password(raw)
            if type(self).objects.filter(pk=self.pk, password=self.password).update(password=renewed):
                self.password = renewed

        return check_password(raw_password, self.password, renew_hash)

    @property
    def is_platform_staff(self) -> bool:
        return self.is_active and self.org_id is None

    @property
    def is_superuser(self) -> bool:
        return self.is_platform_staff

    @property
    def is_staff(self) -> bool:
        # Every role works in the admin; what it shows is decided by capability.
        return self.is_active

    def can(self, capability: Capability) -> bool:
        if not self.is_active:
            return False
        return self.is_platform_staff or (
            self.role is not None and capability in CAPABILITIES[Role(self.role)]
        )

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_platform_staff

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active
