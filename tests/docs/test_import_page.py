"""The examples of docs/import.md: each command says what the page says, and the orders reach the ERP."""

import json
import re
import shlex
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.core.management import call_command

from erp_connectors import tasks
from erp_connectors.services.exports.push import push
from orderflow.orders import order_warnings
from orderflow.orders.approval import approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.jobs.processes import ROOT
from tests.orders.importing import run
from tests.services.conftest import make_site  # noqa: F401  # a fixture

PAGE = (ROOT / "docs" / "import.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = {name: text for _, name, text in BLOCKS if name}


@pytest.mark.django_db
def test_each_command_of_the_page_says_what_the_page_says(tmp_path, monkeypatch):
    factories.customer(factories.org(slug="acme", name="ACME"))
    monkeypatch.chdir(tmp_path)
    # Later the delivery dates of the page are in the past, which is a warning.
    then = SimpleNamespace(now=lambda: datetime(2026, 11, 3, tzinfo=UTC))
    monkeypatch.setattr(order_warnings, "timezone", then)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    commands = [text for language, _, text in BLOCKS if language == "sh"]
    answers = [text for language, _, text in BLOCKS if language == "text"]
    assert len(commands) == len(answers) > 5

    for command, answer in zip(commands, answers, strict=True):
        _, name, file, *arguments = shlex.split(command)
        assert name == "import_orders"
        _, out, err = run(file, *arguments)
        assert err + out == answer, command


def test_every_file_of_the_page_is_used():
    commands = " ".join(text for language, _, text in BLOCKS if language == "sh")

    assert [name for name in FILES if name not in commands.split()] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["orders.jsonl", "orders.csv"])
def test_an_order_of_the_page_reaches_the_erp_with_a_currency_on_each_line(
    make_site,  # noqa: F811
    tmp_path,
    name,
):
    site = make_site()
    path = tmp_path / name
    path.write_text(FILES[name])

    call_command("import_orders", str(path), "--org", site.org.slug, "--create-customers")
    draft = DraftOrder.objects.get()
    assert draft.status == DraftStatus.READY
    approve(draft.pk, actor=factories.user(site.org))
    push(draft.pk, actor=None)
    tasks.deliver(str(site.connection.pk))

    (body,) = site.published().values()
    lines = json.loads(body)["lines"]
    assert [line["currency"] for line in lines] == ["EUR"] * draft.lines.count()
