from datetime import UTC, datetime

import pytest

from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push_many
from orderflow.orders.models import DraftOrder
from orderflow.row_updates import ROWS_PER_STATEMENT, update_rows
from tests import factories


@pytest.fixture
def exports(db):
    org = factories.org()
    factories.connection(org, {"mode": "filesystem", "export_path": "/dropzone"})
    results = push_many(factories.ids(factories.drafts(org, 3, lines=1)), actor=None)
    return [result.export for result in results.values()]


def test_every_row_gets_its_own_values_and_no_other_row_any(exports):
    moment = datetime(2026, 11, 2, 10, tzinfo=UTC)
    first, second, untouched = exports
    first.sha256, first.size, first.archived_at, first.payload = "a" * 64, 1, None, b"\x00\xff"
    first.error_json = {"message": "50 % 'off' \\ ü", "n": [1, None]}
    second.sha256, second.size, second.archived_at, second.payload = "b" * 64, None, moment, None
    second.error_json = None

    update_rows([first, second], "sha256", "size", "archived_at", "payload", "error_json")

    for export in (first, second):
        fresh = ERPExport.objects.get(pk=export.pk)
        assert (fresh.sha256, fresh.size, fresh.archived_at) == (
            export.sha256,
            export.size,
            export.archived_at,
        )
        assert fresh.payload is None or bytes(fresh.payload) == export.payload
        assert fresh.error_json == export.error_json
    assert ERPExport.objects.filter(error_json__isnull=True).count() == 2
    assert ERPExport.objects.get(pk=untouched.pk).sha256 == ""


def test_relations_are_written_by_their_key(exports):
    first, second, _ = exports
    draft = factories.draft(first.org)
    draft.customer = second.draft_order.customer

    update_rows([draft], "customer")

    assert DraftOrder.objects.get(pk=draft.pk).customer == second.draft_order.customer


def test_more_rows_than_one_statement_takes(db):
    org = factories.org()
    drafts = DraftOrder.objects.bulk_create(DraftOrder(org=org) for _ in range(ROWS_PER_STATEMENT + 5))
    for n, draft in enumerate(drafts):
        draft.erp_order_id = f"SO-{n}"

    update_rows(drafts, "erp_order_id")

    numbers = set(DraftOrder.objects.values_list("erp_order_id", flat=True))
    assert numbers == {f"SO-{n}" for n in range(ROWS_PER_STATEMENT + 5)}


def test_a_row_that_is_gone_is_not_made_again_and_none_is_fine(exports):
    draft = factories.draft(exports[0].org)
    DraftOrder.objects.filter(pk=draft.pk).delete()

    update_rows([draft], "erp_order_id")
    update_rows([], "erp_order_id")

    assert not DraftOrder.objects.filter(pk=draft.pk).exists()
