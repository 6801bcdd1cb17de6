"""A project with a user model of its own is stopped before its first migration, not at its first login."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from orderflow.tenancy.checks import user_model

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = "from orderflow.settings import *\nAUTH_USER_MODEL = 'auth.User'\n"


@pytest.mark.deep
@pytest.mark.parametrize("command", [["check"], ["migrate", "--verbosity", "0"]])
def test_another_user_model_is_refused(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "theirs.py").write_text(SETTINGS)
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "theirs",
        "ORDERFLOW_ENV": "development",
        "VAR_DIR": str(tmp_path / "var"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/var/db.sqlite3",
        "ROW_LEVEL_SECURITY": "false",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=env,
        text=True,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert "tenancy.E004" in done.stderr, done.stderr


def test_ours_is_accepted() -> None:
    assert user_model(None) == []
    with override_settings(AUTH_USER_MODEL="shop.Person"):
        assert [message.id for message in user_model(None)] == ["tenancy.E004"]
