"""The form of a connection with a chosen connector: its fields, and the preview of an order before it is saved."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from erp_connectors.models import ERPConnection
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories

ADD = "admin:erp_connectors_erpconnection_add"
CHANGE = "admin:erp_connectors_erpconnection_change"
OPTIONS = {
    "columns": "No. = order.external_order_number\r\nArticle = line.internal_sku\r\nQty = line.qty",
    "header_row": "on", "delimiter": "|", "quoting": "needed", "decimal_mark": ",", "date_format": "YYYY-MM-DD",
    "unit_map": "", "encoding": "utf-8", "line_ending": "lf", "file_ending": "txt",
}  # fmt: skip


@pytest.fixture
def org(db: None) -> Org:
    return factories.org()


@pytest.fixture
def client(org: Org) -> Client:
    client = Client()
    client.force_login(factories.user(org, Role.INTEGRATOR))
    return client


@pytest.fixture
def form(tmp_path: Path, settings: Any) -> dict[str, str]:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    folders = {"export_path": str(tmp_path), "atomic_write": "on"}
    return {
        "connector_type": "DROPZONE_CSV_V1",
        "status": "ACTIVE",
        "mode": "filesystem",
        **folders,
        **OPTIONS,
    }


def preview(client: Client, form: dict[str, str], address: str = "", **changes: str) -> Any:
    answer = client.post(address or reverse(ADD), {**form, "_preview": "1", **changes})
    assert answer.status_code == 200
    return answer.context["preview"]


def test_a_connection_is_saved_with_both_its_parts(client: Client, form: dict[str, str]) -> None:
    answer = client.post(reverse(ADD), form)

    row = ERPConnection.objects.get()
    assert answer.status_code == 302
    assert (row.connector_type, row.config["mode"], row.config["delimiter"]) == (
        "DROPZONE_CSV_V1",
        "filesystem",
        "|",
    )
    assert row.config["columns"].splitlines() == OPTIONS["columns"].splitlines()
    listed = client.get(reverse("admin:erp_connectors_erpconnection_changelist")).content.decode()
    assert "DROPZONE_CSV_V1" in listed


def test_the_page_of_a_type_has_only_its_fields(client: Client) -> None:
    csv = client.get(f"{reverse(ADD)}?connector_type=DROPZONE_CSV_V1").content.decode()
    other = client.get(reverse(ADD)).content.decode()

    assert all(f'name="{name}"' in csv for name in OPTIONS)
    assert not any(f'name="{name}"' in other for name in OPTIONS)


def test_a_type_chosen_without_javascript_shows_its_fields_before_it_is_saved(
    client: Client, form: dict[str, str]
) -> None:
    without = {name: value for name, value in form.items() if name not in OPTIONS}

    answer = client.post(reverse(ADD), without)

    shown = answer.context["adminform"].form
    assert answer.status_code == 200
    assert not ERPConnection.objects.exists()
    assert list(shown.errors) == ["__all__"]
    assert (shown["delimiter"].value(), shown["export_path"].value()) == (";", form["export_path"])
    assert shown["header_row"].value()


def test_the_preview_shows_the_file_of_a_chosen_order_and_saves_nothing(
    client: Client, org: Org, form: dict[str, str]
) -> None:
    draft = factories.draft(org, lines=2)

    # The rest of the form may be unfinished.
    shown = preview(client, form, preview_order=str(draft.pk), export_path="", mode="")

    number = draft.external_order_number
    assert shown.file.text == f"No.|Article|Qty\n{number}|INT-0001|10,500\n{number}|INT-0002|10,500\n"
    assert shown.file.filename.startswith(f"sales_order_{draft.pk.hex[:8]}_")
    assert shown.file.filename.endswith(".txt")
    assert not ERPConnection.objects.exists()


def test_without_an_approved_order_an_example_is_shown(
    client: Client, org: Org, form: dict[str, str]
) -> None:
    factories.draft(org, status=DraftStatus.READY)

    assert client.get(reverse(ADD)).context["preview_orders"] == []
    assert preview(client, form).file.text.splitlines()[1] == "PO-12345|INT-999|10,000"


def test_the_preview_names_the_wrong_line_of_the_columns(client: Client, form: dict[str, str]) -> None:
    shown = preview(client, form, columns="a = line.qty\nb = line.price")

    assert list(shown.errors) == ["Columns"]
    assert "line 2" in shown.errors["Columns"][0]


def test_the_preview_names_the_line_and_column_that_cannot_be_written(
    client: Client, org: Org, form: dict[str, str]
) -> None:
    draft = factories.draft(org, notes="Käse \U0001f9c0")

    shown = preview(
        client, form, preview_order=str(draft.pk), columns="Hint = order.notes", encoding="windows-1252"
    )

    assert "Line 1" in shown.fault
    assert "Hint" in shown.fault


def test_the_preview_of_a_saved_connection_uses_what_was_entered(
    client: Client, org: Org, form: dict[str, str]
) -> None:
    client.post(reverse(ADD), form)
    row = ERPConnection.objects.get()

    shown = preview(client, form, reverse(CHANGE, args=[row.pk]), delimiter="tab")

    assert shown.file.text.splitlines()[0] == "No.\tArticle\tQty"
    row.refresh_from_db()
    assert row.config["delimiter"] == "|"


def test_orders_and_connections_of_another_org_are_not_previewed(
    client: Client, form: dict[str, str], tmp_path: Path
) -> None:
    other = factories.org()
    foreign = factories.connection(other, {"mode": "filesystem", "export_path": str(tmp_path)})

    shown = preview(client, form, preview_order=str(factories.draft(other).pk))

    assert (shown.file, bool(shown.fault)) == (None, True)
    answer = client.post(reverse(CHANGE, args=[foreign.pk]), {**form, "_preview": "1"})
    assert answer.status_code == 404
    viewer = Client()
    viewer.force_login(factories.user(other, Role.VIEWER))
    assert viewer.post(reverse(ADD), {**form, "_preview": "1"}).status_code == 403
