"""An answer that came and could not be read is shown with its export and its order, not only among the ack files."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.dismiss import dismiss_ack
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.event_texts import Tone
from erp_connectors.services.status.export_status import summarize_export
from erp_connectors.services.status.overview import overview
from erp_connectors.services.status.timeline import exports_of
from erp_connectors.services.status.unread_answers import Why, unread_answers
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import client_of
from tests.services.acks.test_poll import ACKED, sent

WRONG = b'{"status": "ACKED"}'
API = "/api/v1/"


def malformed(site, body=WRONG):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", body)
    for _ in range(2):
        poll(site.connection.pk)
    return ERPExport.objects.select_related("connection", "draft_order").get(pk=export.pk)


def why(export):
    return [answer.why for answer in unread_answers([export]).get(export.pk, [])]


def test_the_row_of_a_malformed_answer_names_its_export(site):
    export = malformed(site)

    row = AckFile.objects.get()
    assert (row.status, row.export_id) == ("MALFORMED", export.pk)
    assert why(export) == [Why.MALFORMED]


def test_the_status_summary_names_the_answer_and_what_to_do(site):
    export = malformed(site)

    found = summarize_export(export, exports_of(export.draft_order))

    assert (found.tone, found.action) == (Tone.ERROR, "mark-accepted")
    assert "erp_order_id" in found.why
    assert f"ack_{export.filename}" in found.why


def test_the_pages_of_order_and_export_show_it_and_the_list_links_its_export(site):
    export = malformed(site)
    web = Client()
    web.force_login(factories.user(site.org, Role.OPS))
    page = reverse("admin:erp_connectors_erpexport_change", args=[export.pk])

    for url in (page, reverse("admin:orders_draftorder_change", args=[export.draft_order_id])):
        assert "has arrived but could not be read" in web.get(url).content.decode()
    assert f'href="{page}"' in web.get(reverse("admin:erp_connectors_ackfile_changelist")).content.decode()


def test_one_that_is_not_readable_yet_is_shown_as_waiting(site, settings):
    settings.ACK_UNFINISHED_SECONDS = 3600
    export = malformed(site, b'{"status": "ACK')

    assert why(export) == [Why.NOT_READABLE_YET]
    assert summarize_export(export, exports_of(export.draft_order)).tone == Tone.WAITING


def test_a_right_answer_settles_it(site):
    export = malformed(site)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    export = ERPExport.objects.select_related("connection", "draft_order").get(pk=export.pk)

    assert (export.status, why(export)) == ("ACKED", [])
    assert summarize_export(export, exports_of(export.draft_order)).tone == Tone.GOOD
    needs = [need.kind for need in overview(factories.user(site.org)).needs]
    assert NeedKind.MALFORMED not in needs


def test_marked_as_handled_it_asks_nobody_any_more(site):
    export = malformed(site)
    dismiss_ack(AckFile.objects.get().pk, actor=factories.user(site.org), note="by phone")

    assert why(export) == []


def test_another_orgs_export_is_not_linked(make_site):
    mine, other = make_site(), make_site()
    (export,) = sent(other)
    AckFile.objects.all().delete()
    mine.answer(f"ack_{export.filename}", WRONG)
    for _ in range(2):
        poll(mine.connection.pk)

    assert not AckFile.objects.exclude(export=None).exists()


def test_the_api_lists_ack_files_by_export_and_state(site):
    export = malformed(site)
    AckFile.objects.create(org=site.org, connection=site.connection, name="ack_x.json", status="UNMATCHED",
                           dismissed_at=timezone.now())  # fmt: skip
    client = client_of(site.org, Role.VIEWER)

    def listed(query=""):
        answer = client.get(f"{API}ack-files{query}")
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    name = f"ack_{export.filename}"
    assert listed() == ["ack_x.json", name]
    assert listed("?status=MALFORMED") == [name]
    assert listed(f"?export_id={export.pk}") == [name]
    assert listed(f"?draft_order_id={export.draft_order_id}") == [name]
    assert listed(f"?connection_id={site.connection.pk}&needs_attention=true") == [name]
    assert listed("?needs_attention=false") == ["ack_x.json"]
    applied = AckFile.objects.filter(name="ack_x.json")
    applied.update(status="APPLIED", dismissed_at=None, move_retry_at=timezone.now())
    assert listed("?needs_attention=true") == ["ack_x.json", name], "one that was not moved"
    assert listed("?first_seen_before=2020-01-01T00:00:00Z") == []
    row = client.get(f"{API}ack-files/{AckFile.objects.get(name=name).pk}").json()
    assert (row["export_id"], row["draft_order_id"]) == (str(export.pk), str(export.draft_order_id))
    assert "erp_order_id" in row["reason"]


def test_the_export_in_the_api_carries_it_in_as_many_statements_for_many(site, django_assert_max_num_queries):
    export = malformed(site)
    sent(site, 5)
    client = client_of(site.org, Role.VIEWER)

    one = client.get(f"{API}erp-exports/{export.pk}").json()
    with django_assert_max_num_queries(8):
        rows = {row["id"]: row for row in client.get(f"{API}erp-exports").json()["results"]}

    assert [answer["why"] for answer in one["unread_answers"]] == ["MALFORMED"]
    assert rows[str(export.pk)]["unread_answers"] == one["unread_answers"]
    assert sum(bool(row["unread_answers"]) for row in rows.values()) == 1
    assert one["unread_answers"][0]["ack_file_id"] == AckFile.objects.get().pk


@pytest.mark.parametrize("how_many", [1, 3])
def test_a_malformed_answer_changes_nothing_of_its_export(site, how_many):
    exports = sent(site, how_many)
    before = list(ERPExport.objects.order_by("pk").values())
    for export in exports:
        site.answer(f"ack_{export.filename}", WRONG)
    for _ in range(3):
        poll(site.connection.pk)

    assert list(ERPExport.objects.order_by("pk").values()) == before
