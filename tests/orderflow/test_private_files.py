"""The archive's and SQLite's files are for the program's user only, whatever the umask is."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from erp_connectors.folder_storage import FolderStorage
from tests.jobs.processes import new_world

pytestmark = pytest.mark.deep


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_the_archives_files_and_folders(tmp_path: Path) -> None:
    FolderStorage(location=tmp_path, allow_overwrite=True).save("exports/acme/a.json", ContentFile(b"{}"))

    assert modes(tmp_path) == {"exports": 0o700, "exports/acme": 0o700, "exports/acme/a.json": 0o600}


def test_the_database_and_its_journal(tmp_path: Path) -> None:
    new_world(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/data/of/orderflow.sqlite3")

    found = modes(tmp_path / "data")
    assert found.pop("of") == 0o700
    assert set(found.values()) == {0o600}
