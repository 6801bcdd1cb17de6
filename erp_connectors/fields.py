"""The encrypted field of configs: a value that cannot be read is a `Fault`."""

from typing import Any

from erp_connectors.faults import CONFIG_UNREADABLE, Fault
from orderflow.messages import Message
from orderflow.secrets.crypto import Undecryptable
from orderflow.secrets.fields import EncryptedField


class EncryptedConfigField(EncryptedField):
    """Reading it raises `Fault` CONFIG_UNREADABLE. The model's ``KIND`` is what users call a row."""

    def unreadable(self, row: Any, error: Undecryptable) -> Fault:
        return Fault(
            CONFIG_UNREADABLE,
            Message("config.row_unreadable", kind=row.KIND, id=str(row.id), why=error.message),
        )
