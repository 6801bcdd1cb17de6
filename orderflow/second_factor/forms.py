"""One field for both kinds of code."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from orderflow.second_factor.services import takes_recovery_codes_only
from orderflow.tenancy.models import User

WRONG = _("This code is wrong or was already used. Wait for the next code.")
ONLY_RECOVERY = _(
    "After too many wrong codes only a recovery code is accepted. Or have the second factor reset."
)


class TypedAnew(forms.TextInput):
    """A wrong one is not shown again: a recovery code with a slip is nearly one."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        help_text=_("The six digits that your authenticator app shows now, or one of your recovery codes."),
        widget=TypedAnew(attrs={"autocomplete": "one-time-code", "spellcheck": "false", "autofocus": True}),
    )

    @property
    def typed_code(self) -> str:
        return str(self.cleaned_data["code"])

    def refuse(self, person: User) -> None:
        self.add_error("code", ONLY_RECOVERY if takes_recovery_codes_only(person) else WRONG)


class FirstCodeForm(CodeForm):
    """``sealed`` carries the secret to be confirmed, so that nothing is stored before it is."""

    sealed = forms.CharField(max_length=200, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = _("The six digits that your authenticator app shows now.")
