import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction

from erp_connectors import archive
from erp_connectors.models import ERPExport
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.ssh import SshServer
from tests.tenants.twins import Twin, bare_twins, shared_config, twins


@dataclass(frozen=True)
class Made:
    """Twins with something in every table, the server that they share, and copies of its folders and the archive."""

    full: tuple[Twin, Twin]
    server: SshServer
    files: Path
    archived: dict[str, bytes]


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[Made]:
    """Made once for a module, in a transaction around those of its tests: each begins with the same rows."""
    root, files = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("files") / "copy"
    with asyncssh_server(root) as server, django_db_blocker.unblock(), transaction.atomic():
        full = twins(shared_config(server), "https://hooks.example.com/orders", server)
        shutil.copytree(root, files)
        keys = ERPExport.objects.exclude(archived_at=None).values_list("export_storage_key", flat=True)
        yield Made(full, server, files, {key: _archive().open(key).read() for key in keys})
        transaction.set_rollback(True)


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SshServer]:
    """A server of the test's own, or that of its full twins."""
    if "full" in request.fixturenames:
        yield request.getfixturevalue("made").server
        return
    with asyncssh_server(tmp_path) as running:
        yield running


@pytest.fixture
def both(db: None, server: SshServer) -> tuple[Twin, Twin]:
    """With the same folders of the same server, by the same login."""
    return bare_twins(shared_config(server))


@pytest.fixture
def full(db: None, made: Made, settings: Any) -> tuple[Twin, Twin]:
    """The same, with something in every table."""
    settings.SECURE_SSL_REDIRECT = False
    for folder in made.server.root.iterdir():
        shutil.rmtree(folder)
    shutil.copytree(made.files, made.server.root, dirs_exist_ok=True)
    for key, body in made.archived.items():
        if not _archive().exists(key):
            _archive().save(key, ContentFile(body))
    return deepcopy(made.full)


def _archive() -> Any:
    return storages[archive.ALIAS]
