"""Answers under a wrong name are left where they are, counted, and shown with the name that they should have."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from erp_connectors.dropzones import dropzone_of
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.port_types import Entry
from erp_connectors.registry import connector_for
from erp_connectors.services.acks import misnamed
from erp_connectors.services.acks.misnamed import MisnamedFinder, misnamed_of
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.services.reconciliation.report import FindingKind as Found
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.overview import overview
from erp_connectors.watch import traffic
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import client_of
from tests.services.acks.test_poll import ACKED, sent

MISNAMED = (
    "{}", "{}.txt", "ack_{}.txt", "{}.ack", "ack_{}.xml", "ack-{}", "ACK-{}", "ack_{} ", " ack_{}", "ack_{}.json.txt",
    "answer_{}", "Kopie von ack_{}.1", "ack {}", "ack_{}.JSON.7",
)  # fmt: skip


def again(site):
    return ERPConnection.objects.get(pk=site.connection.pk)


def names(site):
    return sorted(path.name for path in site.acks.iterdir() if path.is_file())


@pytest.mark.parametrize("form", MISNAMED)
def test_each_form_is_left_there_and_found_with_the_name_it_should_have(site, form):
    (export,) = sent(site)
    name = form.format(export.filename)
    site.answer(name, ACKED)

    reports = [poll(site.connection.pk) for _ in range(3)]

    found = misnamed_of(again(site))
    assert [(file.name, file.expected_name, file.export_id) for file in found.files] == [
        (name, f"ack_{export.filename}", export.pk)
    ]
    assert (found.count, found.more) == (1, False)
    assert names(site) == [name]
    assert AckFile.objects.count() == 0
    assert f'expected is "ack_{export.filename}"' in "\n".join(reports[-1].lines())


@pytest.mark.parametrize("form", ["error-{}", "{}.error", "nack_{}", "ERR_{}", "error_{}.txt", "reject {}"])
def test_a_refusal_is_expected_as_one(site, form):
    (export,) = sent(site)
    site.answer(form.format(export.filename), ACKED)
    poll(site.connection.pk)

    assert misnamed_of(again(site)).files[0].expected_name == f"error_{export.filename}"


@pytest.mark.parametrize(
    "name", ["ack-4711.json", "ack_4711.txt", "ACK 4711.json", "error.json", "err_1.xml"]
)
def test_a_name_like_an_answer_without_an_export_is_found_too(site, name):
    site.answer(name, ACKED)
    poll(site.connection.pk)

    (file,) = misnamed_of(again(site)).files
    assert (file.name, file.export_id) == (name, None)
    assert file.expected_name.startswith(("ack_sales_order_", "error_sales_order_"))


@pytest.mark.parametrize(
    "name",
    [
        "readme.txt",
        "acknowledgements.pdf",
        "errors.log",
        "error.log",
        "ack.lock",
        ".DS_Store",
        "price_list.json",
    ],
)
def test_a_strange_file_is_none(site, name):
    site.answer(name, b"x")
    poll(site.connection.pk)

    assert again(site).misnamed_answers == {}


def test_our_own_folders_are_none_where_the_server_does_not_say_what_a_name_is(site):
    connection = again(site)
    found = MisnamedFinder(
        connection, connector_for(connection.connector_type), dropzone_of(connection), now=timezone.now()
    )
    for name in ("processed", "error"):
        found.add(Entry(name, size=0, mtime=0, is_file=True))

    assert found.as_json() == {}


def test_once_it_is_renamed_it_is_read_and_no_longer_shown(site):
    (export,) = sent(site)
    path = site.answer(f"{export.filename}.txt", ACKED)
    poll(site.connection.pk)
    path.rename(site.acks / f"ack_{export.filename}")

    poll(site.connection.pk)

    assert again(site).misnamed_answers == {}
    assert ERPExport.objects.get().status == "ACKED"


def test_what_lies_beside_an_answer_that_was_read_is_none(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    for form in ("{}.log", "ack_{}.done", "ack_{}.reason.txt"):
        site.answer(form.format(export.filename), b"x")

    poll(site.connection.pk)

    assert again(site).misnamed_answers == {}


def test_a_file_that_is_being_written_counts_after_a_while(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}.tmp", ACKED)
    poll(site.connection.pk)
    assert misnamed_of(again(site)).count == 0

    row = again(site)
    row.misnamed_answers["unfinished"] = {
        name: (timezone.now() - timedelta(hours=2)).isoformat() for name in row.misnamed_answers["unfinished"]
    }
    ERPConnection.objects.filter(pk=row.pk).update(misnamed_answers=row.misnamed_answers)
    poll(site.connection.pk)

    (file,) = misnamed_of(again(site)).files
    assert (file.name, timezone.now() - file.since > timedelta(hours=1)) == (
        f"ack_{export.filename}.tmp",
        True,
    )


def test_many_files_that_are_never_finished_are_all_counted(site):
    for n in range(misnamed.KEPT + 10):
        site.answer(f"ack_{n}.tmp", ACKED)
    poll(site.connection.pk)
    row = again(site)
    long_ago = (timezone.now() - timedelta(hours=2)).isoformat()
    row.misnamed_answers["unfinished"] = dict.fromkeys(row.misnamed_answers["unfinished"], long_ago)
    ERPConnection.objects.filter(pk=row.pk).update(misnamed_answers=row.misnamed_answers)

    for _ in range(2):
        poll(site.connection.pk)
        assert misnamed_of(again(site)).count == misnamed.KEPT + 10


def test_the_order_files_themselves_are_none_where_both_folders_are_one(make_site):
    site = make_site()
    config = {**site.connection.config, "ack_path": str(site.inbox)}
    site.connection.config = config
    site.connection.save()
    (export,) = sent(site)
    (site.inbox / f"{export.filename}.done").write_bytes(b"")
    (site.inbox / f"ack-{export.filename}").write_bytes(ACKED)

    poll(site.connection.pk)

    assert [file.name for file in misnamed_of(again(site)).files] == [f"ack-{export.filename}"]


def test_a_copy_of_the_order_file_is_no_answer(site):
    (export,) = sent(site)
    site.answer(export.filename, (site.inbox / export.filename).read_bytes())
    poll(site.connection.pk)

    assert again(site).misnamed_answers == {}


def test_another_orgs_files_are_not_named(make_site):
    mine, other = make_site(), make_site()
    (export,) = sent(other)
    mine.answer(f"{export.filename}.txt", ACKED)

    poll(mine.connection.pk)

    assert again(mine).misnamed_answers == {}


def test_thousands_of_strange_files_cost_one_row(site, monkeypatch):
    monkeypatch.setattr(misnamed, "LOOKED_AT", 40)
    monkeypatch.setattr(misnamed, "KEPT", 10)
    for n in range(60):
        site.answer(f"ack-{n}.json", b"x")

    poll(site.connection.pk)
    before = again(site).misnamed_answers
    poll(site.connection.pk)

    found = misnamed_of(again(site))
    assert (found.count, found.more, len(found.files), AckFile.objects.count()) == (40, True, 10, 0)
    assert again(site).misnamed_answers == before


def test_all_who_may_look_are_shown_it(site):
    (export,) = sent(site)
    name, expected = f"{export.filename}.txt", f"ack_{export.filename}"
    site.answer(name, ACKED)
    poll(site.connection.pk)
    viewer = factories.user(site.org, Role.VIEWER)

    (need,) = [need for need in overview(viewer).needs if need.kind is NeedKind.MISNAMED]
    assert (need.count, name in need.problem.cause, expected in need.problem.cause) == (1, True, True)
    web = Client()
    web.force_login(viewer)
    for url in (
        reverse("admin:index"),
        reverse("admin:orders_draftorder_change", args=[export.draft_order_id]),
        reverse("admin:erp_connectors_erpexport_change", args=[export.pk]),
    ):
        page = web.get(url).content.decode()
        assert (name in page, expected in page) == (True, True), url
    (finding,) = reconcile(site.connection.pk).findings
    assert (finding.kind, finding.export_id, expected in finding.to_do) == (Found.MISNAMED, export.pk, True)
    assert any(expected in finding.what for finding in traffic.connections())


def test_the_api_says_it_on_the_connection_and_on_the_export(site):
    (export,) = sent(site)
    name, expected = f"{export.filename}.txt", f"ack_{export.filename}"
    site.answer(name, ACKED)
    poll(site.connection.pk)

    connection = client_of(site.org, Role.INTEGRATOR).get(f"/api/v1/connectors/{site.connection.pk}").json()
    client = client_of(site.org, Role.VIEWER)
    one = client.get(f"/api/v1/erp-exports/{export.pk}").json()
    (listed,) = client.get("/api/v1/erp-exports").json()["results"]

    assert connection["misnamed_answers"]["count"] == 1
    assert connection["misnamed_answers"]["files"][0]["expected_name"] == expected
    assert one["unread_answers"] == listed["unread_answers"]
    (answer,) = one["unread_answers"]
    assert (answer["name"], answer["why"], answer["expected_name"], answer["ack_file_id"]) == (
        name, "MISNAMED", expected, None,
    )  # fmt: skip
