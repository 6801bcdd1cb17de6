"""The demo's own connections follow its folders and ports; somebody's own is left as it is."""

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


def test_a_connection_that_somebody_made_instead_of_the_demos_is_left_as_it_is(
    org: Org, tmp_path: Path, settings: Any
) -> None:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    factories.connection(org, own := folders(tmp_path / "own"))

    found = story._connect(org, folders(tmp_path / "dropzone" / org.slug))

    assert found.config["export_path"] == own["export_path"]


def test_the_demos_own_follows_a_checkout_that_moved(org: Org, tmp_path: Path, settings: Any) -> None:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    story._connect(org, folders(tmp_path / "before" / "dropzone" / org.slug))

    found = story._connect(org, moved := folders(tmp_path / "after" / "dropzone" / org.slug))

    assert found.config["export_path"] == moved["export_path"]
