"""Form fields from a connector's own description of its config."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.config_fields import ConfigField, Purpose
from erp_connectors.services.connections.host_keys import read_keys, unreadable_line
from orderflow.messages import text

INPUT, CLEAR, GENERATE = "", "-clear", "-generate"


@dataclass(frozen=True, slots=True)
class SecretChange:
    """The user's change of a secret; all empty: keep it."""

    typed: str = ""
    clear: bool = False
    generate: bool = False


@dataclass(frozen=True, slots=True)
class SecretState:
    """All that is ever shown of a stored secret."""

    is_set: bool = False
    set_at: datetime | None = None


class SecretInput(forms.Widget):
    """Write-only: it says whether and since when the secret is set, takes a new one, and can clear it.

    What was typed is not sent back, not even beside an error.
    """

    template_name = "erp_connectors/secret_input.html"

    def __init__(self, state: SecretState, *, lines: int, can_generate: bool, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.state, self.lines, self.can_generate = state, lines, can_generate

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, None, attrs)
        names = {"clear_name": name + CLEAR, "generate_name": name + GENERATE}
        shown = {"state": self.state, "lines": self.lines, "can_generate": self.can_generate, **names}
        return {**context, **shown, "ticked": value if isinstance(value, SecretChange) else SecretChange()}

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> SecretChange:
        # Browsers send CRLF, and keys are compared as they were stored.
        typed = str(data.get(name) or "").replace("\r\n", "\n")
        return SecretChange(
            typed, clear=bool(data.get(name + CLEAR)), generate=bool(data.get(name + GENERATE))
        )

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return False


class SecretField(forms.Field):
    def clean(self, value: SecretChange) -> SecretChange:
        if sum((bool(value.typed), value.clear, value.generate)) > 1:
            raise forms.ValidationError(
                _("Choose one: enter a new value, remove the stored one, or generate one.")
            )
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data != SecretChange())


class HostKeyInput(forms.Textarea):
    """Show the keys as text, with the fingerprints that users compare."""

    template_name = "erp_connectors/host_key_input.html"

    def __init__(self, *, fetched: bool, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.fetched = fetched

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return {**super().get_context(name, value, attrs), "keys": read_keys(value), "fetched": self.fetched}


class HostKeyField(forms.CharField):
    def clean(self, value: Any) -> str:
        lines = (super().clean(value) or "").replace("\r\n", "\n")
        if lines != (self.initial or "") and (wrong := unreadable_line(lines)):
            raise forms.ValidationError(_("One public key a line: %(wrong)s"), params={"wrong": text(wrong)})
        return lines


def form_field(described: ConfigField, stored: Any, secret: SecretState) -> forms.Field:
    """``stored`` is its value in the config, None where it has none."""
    common: dict[str, Any] = {
        "label": _(described.label) if described.label else described.name.replace("_", " ").capitalize(),
        # Hints of faults call these by their keys.
        "help_text": f"{_(described.help)} ({described.name})" if described.rare else _(described.help),
        "required": described.required and not described.secret and described.type != "boolean",
    }
    field = _secret(described, secret, common) if described.secret else _open(described, stored, common)
    field.widget.attrs |= {"data-modes": " ".join(described.modes)} if described.modes else {}
    if described.applies_if:
        name, values = described.applies_if
        field.widget.attrs |= {"data-applies-if": name, "data-applies-values": " ".join(values)}
    field.widget.attrs |= {"data-chooses-modes": ""} if described.purpose is Purpose.MODE else {}
    return field


def _secret(described: ConfigField, state: SecretState, common: dict[str, Any]) -> forms.Field:
    can_generate = described.purpose in (
        Purpose.PRIVATE_KEY,
        Purpose.NEXT_PRIVATE_KEY,
        Purpose.HOP_PRIVATE_KEY,
    )
    return SecretField(widget=SecretInput(state, lines=described.lines, can_generate=can_generate), **common)


def _open(described: ConfigField, stored: Any, common: dict[str, Any]) -> forms.Field:
    common["initial"] = described.default if stored is None else stored
    if described.choices:
        choices = [(value, _(label)) for value, label in described.choices]
        return forms.ChoiceField(choices=choices, **common)
    if described.type == "boolean":
        return forms.BooleanField(**common)
    if described.type in ("integer", "number"):
        return _number(described, common)
    if described.type == "date":
        return forms.DateField(
            widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
            input_formats=["%Y-%m-%d"],
            **common,
        )
    if described.purpose in (Purpose.HOST_KEY, Purpose.NEXT_HOST_KEY, Purpose.HOP_HOST_KEY):
        fetched = described.purpose is not Purpose.NEXT_HOST_KEY
        return HostKeyField(widget=HostKeyInput(fetched=fetched, attrs={"rows": described.lines}), **common)
    long = described.lines > 1
    plain = {"autocomplete": "off", "spellcheck": "false"}
    text: type[forms.Widget] = forms.Textarea if long else forms.TextInput
    return forms.CharField(
        widget=text(attrs={**plain, **({"rows": described.lines} if long else {"class": "vTextField"})}),
        error_messages={"required": gettext_lazy("This field is required.")},
        **common,
    )


def _number(described: ConfigField, common: dict[str, Any]) -> forms.Field:
    minimum, maximum = described.minimum, described.maximum
    if described.type == "integer":
        return forms.IntegerField(
            min_value=None if minimum is None else int(minimum),
            max_value=None if maximum is None else int(maximum),
            **common,
        )
    return forms.FloatField(min_value=minimum, max_value=maximum, **common)
