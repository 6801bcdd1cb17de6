"""Forms for users: e-mail address, role, state and password."""

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from orderflow.accounts import lockout, users
from orderflow.tenancy.addresses import stored_form
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from orderflow.typing_patches import ModelForm, PasswordChangeForm, SetPasswordForm, UserCreationForm

ROLES = _(
    "Admin: everything in the organisation. Integrator: connections, the audit log, and reading. "
    "Operations: approve, push, retry, and reading. Viewer: reading."
)
ACTIVE = _(
    "A user who is not active can't log in. Switching a user off ends all sessions and API tokens at once."
)


class _Address:
    """One address is one person, however it is written."""

    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        return stored_form(str(self.cleaned_data["email"]))


class NewUserForm(_Address, UserCreationForm):
    """Platform staff choose the org; leaving org and role empty makes more platform staff."""

    class Meta:
        model = User
        fields: tuple[str, ...] = ("email", "org", "role")
        help_texts = {"role": ROLES}


def new_user_form(org: Org | None) -> type[NewUserForm]:
    """Return the form for an org's admin: each new user belongs to that org and has a role."""
    if org is None:
        return NewUserForm

    class InOrg(NewUserForm):
        role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.OPS, help_text=ROLES)

        class Meta(NewUserForm.Meta):
            fields = ("email", "role")

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.instance.org = org

    return InOrg


class UserForm(_Address, ModelForm):
    """``actor`` is set by the page."""

    actor: User

    class Meta:
        model = User
        fields = ("email", "role", "is_active")
        help_texts = {"role": ROLES, "is_active": ACTIVE}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        person = User(
            pk=self.instance.pk,
            org_id=self.instance.org_id,
            role=cleaned.get("role", self.instance.role),
            is_active=cleaned.get("is_active", self.instance.is_active),
        )
        try:
            users.require_an_admin_besides(person, actor=self.actor)
        except users.LastAdmin as refused:
            raise forms.ValidationError(str(refused)) from None
        return cleaned


class PasswordForm(SetPasswordForm):
    """Another person's password, set by an admin."""

    def set_by(self, actor: User) -> None:
        users.set_password(self.user, self.cleaned_data["new_password1"], actor=actor)


class OwnPasswordForm(PasswordChangeForm):
    """``request`` is set by the page: the old password can be guessed only as often as at a login."""

    request: HttpRequest

    def clean_old_password(self) -> str:
        old = str(self.cleaned_data["old_password"])
        if not lockout.is_right(self.request, self.user, old, step="password change"):
            raise forms.ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old

    def save(self, commit: bool = True) -> User:
        """Raises `AccessChanged`."""
        users.change_own_password(self.user, self.cleaned_data["new_password1"])
        return self.user
