"""The examples of docs/import.md, as they stand there, go all the way to the dropzone."""

import json
import re

import pytest
from django.core.management import call_command

from erp_connectors import tasks
from erp_connectors.services.push import push
from orderflow.orders.approval import approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.jobs.processes import ROOT
from tests.services.conftest import make_site  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (ROOT / "docs" / "import.md").read_text()


@pytest.mark.parametrize(("language", "ending"), [("json", "jsonl"), ("csv", "csv")])
def test_an_order_of_the_page_reaches_the_erp_with_a_currency_on_each_line(
    make_site,  # noqa: F811
    tmp_path,
    language,
    ending,
):
    site = make_site()
    (example,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    path = tmp_path / f"orders.{ending}"
    path.write_text(example)

    call_command("import_orders", str(path), "--org", site.org.slug, "--create-customers")
    draft = DraftOrder.objects.get()
    assert draft.status == DraftStatus.READY
    approve(draft.pk, actor=factories.user(site.org))
    push(draft.pk, actor=None)
    tasks.deliver(str(site.connection.pk))

    (body,) = site.published().values()
    lines = json.loads(body)["lines"]
    assert [line["currency"] for line in lines] == ["EUR"] * draft.lines.count()
