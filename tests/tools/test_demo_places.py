"""The demo's own connections follow its folders and ports; a user's own is left as it is."""

from pathlib import Path
from typing import Any

import pytest

from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories
from tools.demo import story

pytestmark = pytest.mark.django_db


@pytest.fixture
def org() -> Org:
    made = factories.org()
    factories.user(made, Role.ADMIN)
    return made


def folders(root: Path) -> dict[str, Any]:
    for name in ("in", "out"):
        (root / name).mkdir(parents=True)
    return {"mode": "filesystem", "export_path": str(root / "in"), "ack_path": str(root / "out")}


def test_a_connection_that_a_user_made_stays_and_no_simulated_erp_answers_there(
    org: Org, tmp_path: Path, settings: Any
) -> None:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    users = factories.connection(org, own := folders(tmp_path / "own"))

    assert story._connect(org, folders(tmp_path / "dropzone" / org.slug)) is None
    users.refresh_from_db()
    assert users.config["export_path"] == own["export_path"]


@pytest.mark.parametrize("changed", [{"host": "192.0.2.1"}, {"host_key": "ssh-ed25519 BBBB"}])
def test_so_does_one_over_sftp(org: Org, changed: dict[str, str]) -> None:
    demos = {
        "mode": "sftp", "host": "192.0.2.9", "username": "erp", "password": "x", "export_path": "/in",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlO8dxWVZ0QHg8LnNUpcEkjbmFLTSaSy0zyDXYBmuQH",
    }  # fmt: skip
    factories.connection(org, {**demos, **changed})

    assert story._connect(org, demos) is None


def test_the_demos_own_follows_a_checkout_that_moved(org: Org, tmp_path: Path, settings: Any) -> None:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    story._connect(org, folders(tmp_path / "before" / "dropzone" / org.slug))

    found = story._connect(org, moved := folders(tmp_path / "after" / "dropzone" / org.slug))

    assert found
    assert found.config["export_path"] == moved["export_path"]
