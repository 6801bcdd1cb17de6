"""The connection test records what the server can do and lets us do, and leaves nothing behind."""

import asyncssh as ssh
import pytest

from erp_connectors.models import ERPConnection
from erp_connectors.services.connections.connection_test import test_connection as run_test

pytestmark = pytest.mark.deep


def recorded(erp):
    run_test(erp.connection.pk, actor=None)
    return ERPConnection.objects.get(pk=erp.connection.pk).test_report["server_capabilities"]


@pytest.mark.parametrize("posix_rename", [True, False])
def test_whether_a_rename_replaces_is_found_out_by_trying(erp_at, asyncssh, behaviour, posix_rename):
    behaviour.posix_rename = posix_rename
    erp = erp_at(asyncssh)

    able = recorded(erp)

    # Offered either way: what a server announces is one thing, what it then does another.
    assert (able["posix_rename"], able["replaces_existing"]) == (True, posix_rename)
    assert list((asyncssh.root / "in").iterdir()) == []
    assert sorted(path.name for path in (asyncssh.root / "ack").rglob("*")) == ["error", "processed"]


def test_a_right_that_is_missing_in_the_ack_folder_is_named(erp_at, asyncssh, behaviour):
    def no_moves_into_error(operation: str, path: str) -> None:
        if operation == "rename" and "/error/" in path:
            raise ssh.SFTPPermissionDenied("no")

    behaviour.interfere = no_moves_into_error
    erp = erp_at(asyncssh)

    able = recorded(erp)

    assert [name for name, there in able.items() if not there] == ["ack_error"]
    assert {"ack_list", "ack_write", "ack_read", "ack_processed", "ack_delete"} <= {*able}
    assert erp.probed().fault.code == "PERMISSION_DENIED"


def test_openssh_without_posix_rename_refuses_to_replace(erp_at, openssh):
    able = recorded(erp_at(openssh(sftp_options="-P posix-rename")))

    assert able["replaces_existing"] is False
    assert able["fsync"] is True
