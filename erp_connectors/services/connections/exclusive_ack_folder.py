"""Keep ack folders exclusive: an ack folder on this host belongs to the connections of one org."""

import os

from erp_connectors.common_fields import Dropzone
from erp_connectors.config_fields import ConfigError
from erp_connectors.dropzone_paths import is_within
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.states import ConnectionStatus
from orderflow.paging import by_key
from orderflow.tenancy import scope
from orderflow.tenancy.models import Org

IN_USE = "is an ack folder of another org, or lies in one or around one; choose a folder of your own"


def require_own_acks(org: Org, dropzone: Dropzone) -> None:
    """Raises `ConfigError`. On an SFTP server the login decides what may be read, here all runs as one user."""
    mine = _ack_folder(dropzone)
    if mine and any(_overlap(mine, other) for other in _others(org)):
        raise ConfigError({"ack_path": IN_USE})


@scope.everything()
def _others(org: Org) -> list[str]:
    rows = ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE).exclude(org=org)
    return [folder for row in by_key(rows.select_related("org")) if (folder := _ack_folder_of(row))]


def _ack_folder_of(connection: ERPConnection) -> str:
    try:
        return _ack_folder(dropzone_of(connection))
    except Fault:
        return ""


def _ack_folder(dropzone: Dropzone) -> str:
    here = dropzone.options.on_this_machine
    return os.path.realpath(dropzone.ack_path) if here and dropzone.ack_path else ""


def _overlap(one: str, other: str) -> bool:
    return is_within(one, other) or is_within(other, one)
