"""What a deployment may set, what stops it, and that the page about it is complete."""

import ast
import os
import re
import secrets
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from orderflow import environment as env

ROOT = Path(__file__).resolve().parents[2]
READERS = {
    "text",
    "flag",
    "number",
    "items",
    "folders",
    "networks",
    "nat64_prefixes",
    "mail",
    "site",
    "database",
    "_secret",
}


def manage(folder, *command, **environment):
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *(command or ("check",))],
        env={**kept, "VAR_DIR": str(folder), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def good():
    return {
        "SECRET_KEY": secrets.token_hex(32),
        "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
        "ALLOWED_HOSTS": "orders.example.com",
    }


@pytest.mark.deep
def test_production_with_its_secrets_passes_the_deployment_check(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **good())

    assert done.returncode == 0, done.stderr


def test_production_is_the_same_in_a_process_that_imported_pytest(tmp_path):
    """The product has no settings of its own for tests; they are in `tests/settings.py`."""
    show = (
        "from django.conf import settings as s; "
        "names = [name for name in dir(s) if name.isupper() and name[0] != '_' and name != 'LOGGING']; "
        "print({name: str(getattr(s, name)) for name in names})"
    )
    plain, with_pytest = (
        subprocess.run(
            [sys.executable, "-c", f"{before}{show}"],
            env={"VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "orderflow.settings", **kept},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        ).stdout
        for kept in [good()]
        for before in ("", "import pytest; ")
    )

    assert "PBKDF2PasswordHasher" in plain
    assert with_pytest == plain


def test_programs_that_tests_start_have_the_settings_of_production():
    assert settings.SETTINGS_MODULE == "tests.settings"
    assert "DJANGO_SETTINGS_MODULE" not in os.environ


LEAKED = "s3cr3t-of-ours"
STOPS = [
    ({"SECRET_KEY": ""}, "SECRET_KEY is not set. Make one with: python3"),
    ({"SECRET_KEY": "a" * 64}, "SECRET_KEY is weak"),
    (
        {"ENCRYPTION_MASTER_KEY": ""},
        "ENCRYPTION_MASTER_KEY is not set. It needs 64 hex digits. Make one with",
    ),
    ({"ENCRYPTION_MASTER_KEY": LEAKED.ljust(64, "x")}, "ENCRYPTION_MASTER_KEY is not hexadecimal"),
    ({"ENCRYPTION_PREVIOUS_KEYS": f"{'12' * 32},{LEAKED}"}, "ENCRYPTION_PREVIOUS_KEYS"),
    ({"ORDERFLOW_ENV": "test"}, "ORDERFLOW_ENV is 'test'; write one of: production, development"),
    ({"S3_ENDPOINT_URL": "http://127.0.0.1:1"}, "S3_ENDPOINT_URL is set but S3_BUCKET is not"),
]


@pytest.mark.parametrize(
    ("wrong", "told"), STOPS, ids=[f"{next(iter(w))}-{n}" for n, (w, _) in enumerate(STOPS)]
)
def test_a_wrong_value_stops_the_program_in_one_sentence(tmp_path, wrong, told):
    done = manage(tmp_path, **{**good(), **wrong})

    assert done.returncode == 1
    assert done.stderr.startswith(f"OrderFlow can't start: {told}")
    assert len(done.stderr.splitlines()) == 1
    assert LEAKED not in done.stderr


WRONG = [
    (partial(env.text, among=("path", "virtual")), "nice", "THIS is 'nice'; write one of: path, virtual."),
    (partial(env.flag, default=False), "perhaps", "THIS can't be understood; write true or false."),
    (partial(env.number, default=1), "many", "THIS can't be understood; write a whole number of at least 1."),
    (partial(env.number, default=1), "0", "THIS is 0; write a whole number of at least 1."),
    (partial(env.number, default=1, minimum=0), "-1", "THIS is -1; write a whole number of at least 0."),
    (
        partial(env.folders, default=[]),
        "/srv/in,in",
        "THIS holds 'in'; write absolute folders, separated by commas.",
    ),
    (env.networks, "10.1.0.0/16,10.1.0.1/8", "THIS can't be understood (10.1.0.1/8 has host bits set)"),
    (
        partial(env.database, default=""),
        f"postgres//u:{LEAKED}@h/n",
        "THIS can't be understood; write postgres://",
    ),
    (
        partial(env.database, default=""),
        f"postgres://u:{LEAKED}@h:x/n",
        "THIS can't be understood; write postgres://",
    ),
    (
        partial(env.database, default=""),
        f"mysql://u:{LEAKED}@h/n",
        "THIS names no PostgreSQL or SQLite database",
    ),
]


@pytest.mark.parametrize(("read", "value", "told"), WRONG)
def test_a_wrong_value_is_told_by_its_name_and_no_secret_is_repeated(monkeypatch, read, value, told):
    monkeypatch.setenv("THIS", value)

    with pytest.raises(ImproperlyConfigured) as refused:
        read("THIS")

    assert str(refused.value).startswith(told)
    assert LEAKED not in str(refused.value)


def test_empty_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("THIS", "")

    assert env.text("THIS", "here") == "here"
    assert env.number("THIS", 7) == 7
    assert env.flag("THIS", True) is True
    assert env.items("THIS", ["a"]) == ["a"]
    assert env.database("THIS", "sqlite:////srv/x.sqlite3")["NAME"] == "/srv/x.sqlite3"


def test_lists_and_databases_are_read(monkeypatch):
    monkeypatch.setenv("THIS", "a.example.com, b.example.com,")
    assert env.items("THIS") == ["a.example.com", "b.example.com"]

    monkeypatch.setenv("THIS", "postgres://u:p%40w@db.example.com:5433/orders?sslmode=require")
    read = env.database("THIS", "")
    assert (read["PASSWORD"], read["PORT"], read["OPTIONS"]) == ("p@w", 5433, {"sslmode": "require"})


@pytest.mark.parametrize(
    ("url", "port", "starttls", "tls"),
    [
        ("submission://u:p%40w@mail.example.com", 587, True, False),
        ("smtps://u:p%40w@mail.example.com", 465, False, True),
        ("smtp://u:p%40w@mail.example.com:2525/", 2525, False, False),
    ],
)
def test_a_mail_server_is_read(monkeypatch, url, port, starttls, tls):
    monkeypatch.setenv("THIS", url)
    read = env.mail("THIS")

    assert (read["EMAIL_HOST"], read["EMAIL_HOST_PASSWORD"], read["EMAIL_PORT"]) == (
        "mail.example.com",
        "p@w",
        port,
    )
    assert (read["EMAIL_USE_TLS"], read["EMAIL_USE_SSL"]) == (starttls, tls)


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://u:s3cr3t@mail.example.com", "smtp://", "smtp://h:x/", "smtp://h/path"]
)
def test_a_mail_server_that_can_not_be_one_is_refused_without_its_password(monkeypatch, url):
    monkeypatch.setenv("THIS", url)
    with pytest.raises(
        ImproperlyConfigured, match="THIS can't be understood; write submission://"
    ) as refused:
        env.mail("THIS")
    assert "s3cr3t" not in str(refused.value)


def test_the_public_address_is_read_without_its_last_slash(monkeypatch):
    assert env.site("THIS") == ""
    monkeypatch.setenv("THIS", "https://orders.example.com/erp/")
    assert env.site("THIS") == "https://orders.example.com/erp"
    for wrong in ("orders.example.com", "ftp://orders.example.com", "https://", "https://a.example.com/?b"):
        monkeypatch.setenv("THIS", wrong)
        with pytest.raises(ImproperlyConfigured, match="write a URL such as"):
            env.site("THIS")


@pytest.mark.deep
def test_development_makes_its_secrets_once_for_its_owner_only(tmp_path):
    show = "from django.conf import settings as s; print(s.SECRET_KEY, s.ENCRYPTION_MASTER_KEY)"
    first, second = (
        manage(tmp_path, "shell", "-v0", "-c", show, ORDERFLOW_ENV="development") for _ in range(2)
    )

    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    kept = list((tmp_path / "development-secrets").iterdir())
    assert len(kept) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_a_task_in_a_queue_is_not_handed_out_twice():
    q: dict[str, Any] = settings.Q_CLUSTER

    assert q["retry"] >= q["timeout"] * ((q["queue_limit"] + 1) / q["workers"] + 1) + 30
    assert q["catch_up"] is False


def test_every_variable_is_on_the_page_and_the_page_names_no_other():
    assert documented() == read_by_the_settings()


def documented():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row.split("|")[1])}


def read_by_the_settings():
    modules = [
        ROOT / "orderflow" / f"{name}.py" for name in ("settings", "archive_settings", "database_settings")
    ]
    trees = [ast.parse(module.read_text(encoding="utf-8")) for module in modules]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.args[0], ast.Constant)
        and (getattr(call.func, "attr", None) or getattr(call.func, "id", None)) in READERS
    }
