"""Refusals that pass, or that a server tells as a bare failure."""

import asyncssh as ssh
import pytest

from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.sftp import wire
from orderflow.messages import Message
from tests.faults.conftest import assert_told
from tests.servers.hostile_sftp import Attacks, hostile_server, status

pytestmark = pytest.mark.deep


def steps_of(erp):
    return {step.name: step for step in run_test(erp.connection.pk, actor=None)}


@pytest.mark.parametrize("refusal", [ssh.SFTPPermissionDenied("in use"), ssh.SFTPFailure("in use")])
def test_a_rename_that_a_virus_scanner_delays_passes_the_test(erp_at, asyncssh, behaviour, refusal):
    refused = list[str]()

    def refuse_once(operation, path):
        if operation == "rename" and not refused:
            refused.append(path)
            raise refusal

    behaviour.interfere = refuse_once
    step = steps_of(erp_at(asyncssh))["export_path"]

    assert refused
    assert step.ok, step.fault
    assert Message("test.renamed_at_second_try") in step.found.params["remarks"]


@pytest.mark.parametrize(("kind", "step"), [(wire.OPEN, "export_path"), (wire.OPENDIR, "ack_path")])
def test_a_failure_for_a_missing_folder_names_the_folder(tmp_path, erp_at, kind, step):
    """Some servers know no other word for what is missing."""

    def fail(files, request, body):
        return status(request, wire.FAILURE, b"Failure")

    with hostile_server(Attacks(replies={kind: fail, wire.STAT: fail}), root=tmp_path) as server:
        found = steps_of(erp_at(server))[step]

    assert found.fault.code == "FOLDER_UNAVAILABLE"
    assert "disk" not in found.fault.message + found.fault.kind.hint


def test_a_failure_while_writing_into_a_folder_that_is_there_names_the_disk(tmp_path, erp_at):
    def fail(files, request, body):
        return status(request, wire.FAILURE, b"Failure")

    with hostile_server(Attacks(replies={wire.OPEN: fail}), root=tmp_path) as server:
        message = assert_told(erp_at(server), "REMOTE_FAILURE", step="export_path")

    assert "disk" in message


def test_one_folder_for_orders_and_answers_is_told(erp_at, asyncssh):
    erp = erp_at(asyncssh, ack_path=f"{asyncssh.path('in')}/")

    assert steps_of(erp)["ack_path"].found.code == "test.ack_folder_with_orders"
