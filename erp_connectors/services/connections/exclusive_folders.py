"""Keep folders on this host exclusive: they belong to the connections of one org.

On an SFTP server the login decides which files an org can read. On this host all orgs' files are read by one user.
"""

import os
from typing import NamedTuple

from erp_connectors.common_fields import Dropzone
from erp_connectors.config_fields import ConfigError
from erp_connectors.dropzone_paths import is_within
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.states import ConnectionStatus
from orderflow.messages import Message
from orderflow.paging import by_key
from orderflow.tenancy import scope
from orderflow.tenancy.models import Org

IN_USE = Message("config.folder_in_use")


class _Folders(NamedTuple):
    """Real paths on this host; ``acks`` is empty if there are none."""

    exports: str
    acks: str


def require_own_folders(org: Org, dropzone: Dropzone) -> None:
    """Raise `ConfigError` if a folder is on this host and another org's active connection uses it."""
    mine = _folders(dropzone)
    if mine is None:
        return
    problems = {}
    for theirs in _others(org):
        if theirs.exports == mine.exports or _lies_in(mine.exports, theirs.acks):
            problems["export_path"] = IN_USE
        if _lies_in(theirs.exports, mine.acks) or _overlap(mine.acks, theirs.acks):
            problems["ack_path"] = IN_USE
    if problems:
        raise ConfigError(problems)


@scope.everything()
def _others(org: Org) -> list[_Folders]:
    rows = ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE).exclude(org=org)
    return [folders for row in by_key(rows.select_related("org")) if (folders := _folders_of(row))]


def _folders_of(connection: ERPConnection) -> _Folders | None:
    try:
        return _folders(dropzone_of(connection))
    except Fault:
        return None


def _folders(dropzone: Dropzone) -> _Folders | None:
    if not dropzone.options.on_this_machine:
        return None
    acks = os.path.realpath(dropzone.ack_path) if dropzone.ack_path else ""
    return _Folders(os.path.realpath(dropzone.export_path), acks)


def _lies_in(path: str, folder: str) -> bool:
    """Return whether the path is the folder or lies in it. An ack folder has folders of its own."""
    return bool(path and folder) and is_within(path, folder)


def _overlap(one: str, other: str) -> bool:
    return _lies_in(one, other) or _lies_in(other, one)
