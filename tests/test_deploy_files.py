"""The files in deploy/ name variables, commands and programs that exist."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from orderflow import gunicorn_conf
from orderflow.gunicorn_worker import LARGEST_BODY, Worker
from tests.parts import require_program

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DEPLOY_PAGE = (ROOT / "docs" / "deploy.md").read_text()
DOCUMENTED = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs" / "settings.md").read_text()))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser


def assigned(text: str) -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))


def test_every_variable_of_the_example_is_documented() -> None:
    names = assigned((DEPLOY / "orderflow.env.example").read_text())

    assert len(names) > 8
    assert names <= DOCUMENTED


def test_every_variable_that_the_containers_get_is_documented() -> None:
    assert set(OURS) == {"migrate", "web", "workers"}
    for service in OURS.values():
        assert set(service["environment"]) <= DOCUMENTED


def test_whatever_the_compose_file_asks_for_is_in_its_example() -> None:
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    wanted = {name for name, has_default in re.findall(r"\$\{([A-Z0-9_]+)(:-)?", text) if not has_default}

    assert wanted <= assigned((DEPLOY / "compose" / "example.env").read_text())


def test_the_secrets_have_no_value_in_the_examples() -> None:
    for example in (DEPLOY / "orderflow.env.example", DEPLOY / "compose" / "example.env"):
        values = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", example.read_text(), re.MULTILINE))
        assert [values[name] for name in ("SECRET_KEY", "ENCRYPTION_MASTER_KEY")] == ["", ""]


def test_the_page_puts_each_secret_into_its_own_variable_only(tmp_path: Path) -> None:
    require_program("openssl")
    example, filled = DEPLOY / "orderflow.env.example", tmp_path / "orderflow.env"
    shutil.copy(example, filled)
    (line,) = re.findall(r"^sed -i .*?orderflow\.env$", DEPLOY_PAGE, re.DOTALL | re.MULTILINE)
    ours = line.replace("/etc/orderflow/orderflow.env", quote(str(filled)))
    script = f"PASSWORD=of-the-database NAME=erp.acme.test\n{ours}"
    subprocess.run(["bash", "-euc", script], check=True)

    before, after = example.read_text().splitlines(), filled.read_text().splitlines()
    changed = {new.partition("=")[0] for old, new in zip(before, after, strict=True) if old != new}
    named = {"ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "PUBLIC_URL"}
    assert changed == {"SECRET_KEY", "ENCRYPTION_MASTER_KEY", "METRICS_TOKEN", "DATABASE_URL"} | named


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_there_is_as_the_user_that_owns_nothing(path: Path) -> None:
    service = unit(path)["Service"]
    program, *arguments = service["ExecStart"].split()

    assert (service["User"], service["ProtectSystem"]) == ("orderflow", "strict")
    assert program.startswith("/opt/orderflow/.venv/bin/")
    if arguments[0] == "manage.py":
        assert arguments[1] in get_commands()
    else:
        assert arguments[0] == "orderflow.wsgi"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_has_low_exposure_by_systemds_own_measure(path: Path) -> None:
    program = require_program("systemd-analyze")
    rated = [program, "security", "--offline=true", "--no-pager", "--threshold=20", str(path)]
    done = subprocess.run(rated, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_no_container_has_rights_or_an_image_of_any_version() -> None:
    most = {
        "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
        "caddy": {"NET_BIND_SERVICE"},
    }
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service.get("cap_add", [])) <= most.get(name, set()), name
        assert name in OURS or re.search(r":.*\d.*[.-].*\d", service["image"]), name
        assert "S3_ROOT_PASSWORD" not in str(service) or name in ("s3", "bucket"), name


def test_only_the_proxy_is_open_and_it_reaches_the_web_server_only() -> None:
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["caddy"]
    assert {name for name, service in services.items() if "front" in service["networks"]} == {"caddy", "web"}
    assert services["caddy"]["networks"] == ["front"]


def test_a_stop_waits_longer_than_the_workers_may_take() -> None:
    service = unit(DEPLOY / "systemd" / "orderflow-workers.service")["Service"]

    assert (service["KillMode"], int(service["TimeoutStopSec"]) > 30) == ("mixed", True)
    assert int(COMPOSE["services"]["workers"]["stop_grace_period"].removesuffix("s")) > 30


def test_containers_run_commands_that_there_are() -> None:
    for service in OURS.values():
        command = service.get("command")
        assert command is None or command[2] in get_commands()


def test_the_image_has_all_that_runs() -> None:
    copied = set(re.findall(r"^COPY (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))

    assert copied == {"requirements.txt", "manage.py", "orderflow", "erp_connectors"}
    assert {f"!{name}" for name in copied} <= set((ROOT / ".dockerignore").read_text().split())


@pytest.mark.parametrize(
    ("file", "directive"),
    [("nginx/orderflow.conf", r"client_max_body_size (\d+)m;"), ("compose/Caddyfile", r"max_size (\d+)MiB")],
)
def test_the_proxies_and_gunicorn_let_the_largest_order_through(
    file: str, directive: str, settings: Any
) -> None:
    limit = re.search(directive, (DEPLOY / file).read_text())

    assert limit is not None
    assert int(limit[1]) * 1024 * 1024 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE == LARGEST_BODY


def test_web_servers_start_with_the_worker_that_slow_clients_cannot_stop() -> None:
    commands = (unit(DEPLOY / "systemd" / "orderflow-web.service")["Service"]["ExecStart"],
                (DEPLOY / "Dockerfile").read_text().replace('", "', " "))  # fmt: skip

    assert all("--config python:orderflow.gunicorn_conf" in command for command in commands)
    assert not any(option in command for command in commands for option in ("--threads", "--worker-class"))
    assert gunicorn_conf.worker_class == f"{Worker.__module__}.{Worker.__qualname__}"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"orderflow-manage ([a-z_]+)", DEPLOY_PAGE))))
def test_the_page_names_commands_that_there_are(command: str) -> None:
    assert command in get_commands()
