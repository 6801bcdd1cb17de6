"""Refuse folders on this host that lie outside DROPZONE_ROOTS when a connection is saved."""

import os

from erp_connectors.common_fields import Dropzone
from erp_connectors.config_fields import ConfigError
from erp_connectors.dropzone_paths import is_within
from erp_connectors.registry import roots_of
from orderflow.messages import Message

OUTSIDE = Message("config.folder_not_allowed")


def require_allowed_folders(dropzone: Dropzone) -> None:
    """Raise `ConfigError` if the export or ack folder is on this host and outside the roots of the org.

    Opening the folder checks this again: links and settings may change after the connection was saved.
    """
    if not dropzone.options.on_this_machine:
        return
    roots = [os.path.realpath(root) for root in roots_of(dropzone.org_slug)]
    folders = {"export_path": dropzone.export_path, "ack_path": dropzone.ack_path}
    outside = {
        key: OUTSIDE
        for key, folder in folders.items()
        if folder and not any(is_within(os.path.realpath(folder), root) for root in roots)
    }
    if outside:
        raise ConfigError(outside)
