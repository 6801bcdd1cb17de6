"""The package, built and installed as another Django project would, away from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT
from tests.servers.processes import running

pytestmark = pytest.mark.deep

SETTINGS = """
from orderflow.settings import *

ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""
URLS = """
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [path("shop/", lambda request: HttpResponse("shop")), path("", include("orderflow.urls"))]
"""
AN_ORDER = """
from pathlib import Path
from uuid import uuid4
from django.conf import settings
from django.utils import timezone
from erp_connectors.services.connections.manage import create_connection
from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User

new = uuid4().hex
folder = Path(settings.DROPZONE_ROOTS[0]) / new
for name in ("in", "acks"):
    (folder / name).mkdir(parents=True, exist_ok=True)
org = Org.objects.create(slug=new, name="Acme")
user = User.objects.create_user(f"{new}@acme.example", org=org, role="OPS")
config = {"mode": "filesystem", "export_path": str(folder / "in"), "ack_path": str(folder / "acks")}
connection = create_connection(org, "DROPZONE_JSON_V1", config, actor=None)
customer = Customer.objects.create(org=org, name="Kunde", erp_customer_number="4711", default_currency="EUR")
order = DraftOrder.objects.create(
    org=org, customer=customer, currency="EUR", status=DraftStatus.APPROVED,
    approved_by=user, approved_at=timezone.now(),
)
order.lines.create(line_no=1, internal_sku="A", qty=1, uom="ST", currency="EUR")
print(folder)
"""
PUSH = """
from django.core.management import call_command

call_command("push", str(order.pk))
"""
ANSWER = """
import erp_connectors

call_command("deliver")
call_command("simulate_erp", connection=str(connection.pk), once=True)
call_command("poll_acks")
print(erp_connectors.__file__)
"""


@dataclass
class Installed:
    python: Path
    folder: Path

    def run(self, *command: str) -> str:
        ran = subprocess.run(
            [str(self.python), *command], cwd=self.folder, env=self.environment(),
            capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "ORDERFLOW_ENV": "development", "LOG_LEVEL": "ERROR"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel, and beside it what the wheel depends on."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("another machine")
    for package in ("erp_connectors", "orderflow"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(place), str(source)]
    subprocess.run([*pip, *build], check=True, timeout=110)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv")
    executable = place / "venv" / "bin" / "python"
    # Python compiles the modules that it imports.
    options = ["--no-deps", "--no-index", "--no-compile"]
    install = ["--python", str(executable), "install", *options, str(wheel)]
    subprocess.run([*pip, *install], check=True, timeout=110)
    paths = {"base": str(place / "venv"), "platbase": str(place / "venv")}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return executable


@pytest.fixture(scope="module")
def project(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    site = Installed(python, tmp_path_factory.mktemp("project"))
    site.run("-m", "django", "startproject", "shop", ".")
    (site.folder / "shop" / "settings.py").write_text(SETTINGS)
    (site.folder / "shop" / "urls.py").write_text(URLS)
    site.run("manage.py", "migrate", "-v0")
    return site


def test_an_empty_project_delivers_an_order_and_reads_its_answer(project: Installed) -> None:
    said = project.run("manage.py", "shell", "-v0", "-c", AN_ORDER + PUSH + ANSWER)

    assert "1 accepted" in said
    assert "/site-packages/" in said.splitlines()[-1]
    assert (project.folder / "var" / "orderflow.sqlite3").is_file()


def test_its_workers_run_with_the_settings_of_the_project(project: Installed) -> None:
    command = [str(project.python), str(project.folder / "manage.py"), "run_workers", "--workers", "1"]
    environment = project.environment() | {"VAR_DIR": str(project.folder / "var")}
    with running(command, grace=60, env=environment, cwd="/"):
        folder = project.run("manage.py", "shell", "-v0", "-c", AN_ORDER + PUSH).splitlines()[0]
        end = time.monotonic() + 60
        while not list(Path(folder, "in").glob("*.json")):
            assert time.monotonic() < end, "no worker delivered the order"
            time.sleep(0.2)


def test_its_own_pages_stand_beside_ours(project: Installed) -> None:
    page = """
from django.test import Client
site = Client(headers={"host": "localhost"})
print(site.get("/shop/").content, site.get("/admin/login/").status_code, site.get("/healthz").content)

from django.core.management import call_command
call_command("check")
"""
    answers, checked = project.run("manage.py", "shell", "-v0", "-c", page).splitlines()

    assert answers == r"b'shop' 200 b'ok\n'"
    assert "System check identified no issues" in checked


def test_without_a_project_it_is_a_site_of_its_own(python: Path, tmp_path: Path) -> None:
    site = Installed(python, tmp_path)
    command = str(python.parent / "orderflow")

    assert "System check identified no issues" in site.run(command, "check")
    assert "valid" in site.run(command, "validate_export", str(_an_export(site)))


def _an_export(site: Installed) -> Path:
    path = site.folder / "my_order.json"
    path.write_text(
        '{"export_version": "orderflow_export_json_v1", "org_slug": "acme",'
        '"draft_order_id": "550e8400-e29b-41d4-a716-446655440000", "approved_at": "2025-12-26T10:00:00Z",'
        '"customer": {"id": "550e8400-e29b-41d4-a716-446655440000", "erp_customer_number": "4711", "name": "M"},'
        '"header": {"external_order_number": null, "order_date": null, "currency": "EUR",'
        '"requested_delivery_date": null, "notes": null}, "lines": [{"line_no": 1, "internal_sku": "INT-999",'
        '"qty": 10.0, "uom": "M", "unit_price": 1.23, "currency": "EUR", "customer_sku_raw": null,'
        '"description": null}], "meta": {"created_by": "ops@acme.example", "source_document": null}}'
    )
    return path
