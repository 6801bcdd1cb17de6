"""Form of a connection: a field for each key of its connector's config, with its errors."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _

from erp_connectors.admin.connections.fields import SecretChange, SecretState, form_field
from erp_connectors.common_fields import MODE
from erp_connectors.config_fields import ConfigError, ConfigField, Purpose
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.registry import connector_for, is_known
from erp_connectors.services.connections.manage import check_folders, secrets_sent_elsewhere
from erp_connectors.sftp.errors import KeyUnreadable
from erp_connectors.sftp.key_pairs import new_private_key
from erp_connectors.sftp.keys import load_private_key
from erp_connectors.ssh_messages import explanation
from erp_connectors.states import ConnectionStatus
from orderflow.messages import text
from orderflow.typing_patches import ModelForm

# Generating a pair removes the passphrase of the key before.
_KEY_OF_PASSPHRASE = {
    Purpose.PASSPHRASE: Purpose.PRIVATE_KEY,
    Purpose.HOP_PASSPHRASE: Purpose.HOP_PRIVATE_KEY,
}


def described_fields(connector_type: str) -> tuple[ConfigField, ...]:
    """None for a type that this deployment does not have."""
    return config_fields(connector_type) if is_known(connector_type) else ()


def connector_fields(connector_type: str) -> Sequence[ConfigField]:
    """Return the fields of the connector alone; none for a type that this deployment does not have."""
    return connector_for(connector_type).fields() if is_known(connector_type) else ()


class ConnectionForm(ModelForm):
    """``connector_type`` decides the fields; an untouched secret keeps its stored value."""

    connector_type: str

    class Meta:
        model = ERPConnection
        fields = ("connector_type", "status")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.described = described_fields(self.connector_type)
        self.stored = stored_config(self.instance)
        self.generated = False
        self.fields_were_missing = self._fill_missing_fields()
        for described in self.described:
            field = form_field(described, self.stored.get(described.name), self._state_of(described.name))
            # Bound, the mode is known: what does not apply is not asked for.
            field.required = field.required and (not self.is_bound or self._applies(described))
            self.fields[described.name] = field

    def _fill_missing_fields(self) -> bool:
        """Fill in the defaults of the connector's fields if the submitted page did not have them.

        Without JavaScript a user may choose a connector type whose fields are not on the page. Return True in that
        case: the form is shown again with these fields.
        """
        own = connector_fields(self.connector_type)
        names = [described.name for described in own if described.type != "boolean"]
        if not (self.is_bound and self.instance._state.adding and names) or any(
            name in self.data for name in names
        ):
            return False
        data = QueryDict(mutable=True)
        data.update(self.data)
        for described in own:
            if described.default not in (None, False):
                data[described.name] = "on" if described.default is True else str(described.default)
        self.data = data
        return True

    def _state_of(self, name: str) -> SecretState:
        set_at = self.instance.secrets_set_at.get(name)
        return SecretState(name in self.stored, datetime.fromisoformat(set_at) if set_at else None)

    def _applies(self, described: ConfigField) -> bool:
        chosen = [str(self.data.get(one.name)) for one in self.described if one.purpose is Purpose.MODE]
        of_mode = not (described.modes and chosen) or any(mode in described.modes for mode in chosen)
        return of_mode and described.applies(self.data)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.fields_were_missing:
            self.add_error(
                None, _("The fields of this connector type are shown now. Check them and save again.")
            )
        self.config = {
            described.name: value
            for described in self.described
            if self._applies(described) and (value := self._value(described)) is not None
        }
        for described in self.described:
            if not self._applies(described):
                # It is hidden, so its error could not be corrected.
                self.errors.pop(described.name, None)
        self._require_moved_secrets()
        self._check_private_keys()
        self._check_config()
        self._require_only_active(cleaned)
        return cleaned

    def _value(self, described: ConfigField) -> Any:
        value = self.cleaned_data.get(described.name)
        if isinstance(value, SecretChange):
            return self._secret(described, value)
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, str):
            value = value.replace("\r\n", "\n")
        return None if value == "" else value

    def _secret(self, described: ConfigField, change: SecretChange) -> str | None:
        if change.generate:
            self.generated = True
            return new_private_key()
        pair = _KEY_OF_PASSPHRASE.get(described.purpose)
        if change.clear or (pair and self._wants_pair(pair)):
            return None
        return change.typed or self.stored.get(described.name)

    def _require_moved_secrets(self) -> None:
        """Ask again for a secret that was left untouched and would now be sent elsewhere."""
        untouched = [
            described.name
            for described in self.described
            if described.secret and self.cleaned_data.get(described.name) == SecretChange()
        ]
        if not untouched:  # of a type that this deployment does not have, too
            return
        moved = secrets_sent_elsewhere(self.connector_type, self.stored, self.config, untouched)
        for name in moved.keys() & self.config.keys():
            changed = ", ".join(str(self.fields[place].label) for place in moved[name])
            self.add_error(
                name,
                _(
                    "Enter this again, because this was changed: %(changed)s. A stored secret is only "
                    "sent to the server and user for which it was entered."
                )
                % {"changed": changed},
            )

    def _wants_pair(self, purpose: Purpose) -> bool:
        changes = [self.cleaned_data.get(name) for name in self._names(purpose)]
        return any(isinstance(change, SecretChange) and change.generate for change in changes)

    def _check_private_keys(self) -> None:
        """Try a key that was just entered, or its passphrase, at once."""
        own = [*self._names(Purpose.PRIVATE_KEY), *self._names(Purpose.NEXT_PRIVATE_KEY)]
        self._check_keys(own, Purpose.PASSPHRASE)
        self._check_keys(self._names(Purpose.HOP_PRIVATE_KEY), Purpose.HOP_PASSPHRASE)

    def _check_keys(self, keys: list[str], passphrase: Purpose) -> None:
        passphrases = [self.config.get(name) for name in self._names(passphrase)]
        touched = {*self.changed_data} & {*keys, *self._names(passphrase)}
        for name in keys:
            if touched and name in self.config:
                try:
                    load_private_key(self.config[name], passphrases[0] if passphrases else None)
                except KeyUnreadable as error:
                    self.add_error(
                        name, _("This key can't be read: %(why)s") % {"why": text(explanation(error))}
                    )

    def _check_config(self) -> None:
        if not self.described:
            return
        try:
            dropzone = parse_config(self.connector_type, self.config)
            if self.instance.org_id and {"export_path", "ack_path", MODE} & {*self.changed_data}:
                check_folders(self.instance.org, dropzone)
        except ConfigError as error:
            for key, problem in error.problems.items():
                if key not in self.errors:
                    self.add_error(key if key in self.fields else None, text(problem))

    def _require_only_active(self, cleaned: dict[str, Any]) -> None:
        others = ERPConnection.objects.filter(
            org=self.instance.org_id,
            connector_type=self.connector_type,
            status=ConnectionStatus.ACTIVE,
        ).exclude(pk=self.instance.pk)
        if cleaned.get("status") == ConnectionStatus.ACTIVE and others.exists():
            self.add_error(
                "status", _("This org already has an active connection of this type. Disable it first.")
            )

    def format_config(self) -> dict[str, Any]:
        """Return the connector's own keys as they were entered."""
        own = [described for described in self.described if described.name in self._own_names()]
        return {described.name: value for described in own if (value := self._value(described)) is not None}

    def format_errors(self) -> dict[str, list[str]]:
        """Return the errors of the connector's own fields by their labels."""
        return {
            str(self.fields[name].label): [str(error) for error in errors]
            for name, errors in self.errors.items()
            if name in self._own_names()
        }

    def _own_names(self) -> set[str]:
        return {described.name for described in connector_fields(self.connector_type)}

    def _names(self, purpose: Purpose) -> list[str]:
        return [described.name for described in self.described if described.purpose is purpose]


def form_for(connector_type: str, *, types: list[str], org: Any, chosen: bool) -> type[ConnectionForm]:
    """The form of one connector type, among the ``types`` there are; ``chosen``: it is fixed."""
    wanted = connector_type

    class ForType(ConnectionForm):
        connector_type = wanted

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if self.instance._state.adding and org is not None:
                self.instance.org = org
            self.fields["connector_type"] = forms.ChoiceField(
                label=_("Connector type"),
                choices=[(name, name) for name in dict.fromkeys([*types, *([wanted] if chosen else [])])],
                initial=wanted,
                disabled=chosen,
                widget=forms.Select(attrs={} if chosen else {"data-chooses-type": ""}),
            )
            self.fields["status"].label = _("Status")

    return ForType


def stored_config(connection: ERPConnection) -> dict[str, Any]:
    """Empty for a new one, and where it can't be decrypted: the page says so, and takes new details."""
    return {} if connection._state.adding or is_unreadable(connection) else dict(connection.config)


def is_unreadable(connection: ERPConnection) -> bool:
    """Return True if no key decrypts the config."""
    try:
        _ = connection.config
    except Fault:
        return True
    return False
