"""Bulk runs in the admin: who may ask, who may say yes, and what each page tells."""

import pytest
from django.test import Client
from django.urls import reverse

from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction, BulkRun, Outcome
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.pages import levels

pytestmark = pytest.mark.django_db
ORDERS, EXPORTS = "admin:orders_draftorder_changelist", "admin:erp_connectors_erpexport_changelist"


@pytest.fixture
def org(tmp_path):
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


@pytest.fixture
def ops(org):
    return client_of(factories.user(org))


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def choose(client, action, rows, *, where=ORDERS, **more):
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return client.post(reverse(where), data)


def text(answer):
    assert answer.status_code == 200
    return answer.content.decode()


def confirm(client, run):
    return client.post(reverse("admin:bulk_run_confirm", args=[run.pk]), follow=True)


def test_choose_look_confirm_and_read_what_became_of_each(org, ops):
    good, incomplete = factories.drafts(org, 2, status=DraftStatus.READY)
    incomplete.lines.update(internal_sku="")

    chosen = choose(ops, "approve", [good, incomplete])
    preview = text(ops.get(chosen.url))
    run = BulkRun.objects.get()
    untouched = DraftOrder.objects.get(pk=good.pk).status
    result = text(confirm(ops, run))

    assert chosen.url == reverse("admin:bulk_run", args=[run.pk])
    assert "This happens to 1 order:" in preview
    assert "line 1: SKU is missing" in preview
    assert untouched == DraftStatus.READY
    assert "Finished." in result
    assert "line 1: SKU is missing" in result
    assert DraftOrder.objects.get(pk=good.pk).status == DraftStatus.APPROVED
    assert DraftOrder.objects.get(pk=incomplete.pk).status == DraftStatus.READY


def test_exports_are_retried_by_their_orders(org, ops):
    export = push(factories.draft(org).pk, actor=None).export
    ERPExport.objects.update(status=ExportStatus.FAILED, failed_as=FailedAs.REFUSED)
    DraftOrder.objects.update(status=DraftStatus.ERROR)

    choose(ops, "retry", [export], where=EXPORTS)
    confirm(ops, BulkRun.objects.get())

    assert ERPExport.objects.filter(draft_order=export.draft_order).count() == 2


def test_all_rows_of_the_list_can_be_chosen_not_only_those_of_its_page(org, ops):
    drafts = factories.drafts(org, 130)

    choose(ops, "push", drafts[:1], select_across="1")

    assert BulkRun.objects.get().rows.count() == 130


def test_a_double_click_does_nothing_twice(org, ops):
    choose(ops, "push", factories.drafts(org, 3))
    run = BulkRun.objects.get()

    confirm(ops, run)
    again = confirm(ops, run)

    assert levels(again) == ["info"]
    assert ERPExport.objects.count() == 3


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INTEGRATOR])
@pytest.mark.parametrize("action", ["ready", "approve", "push", "retry", "reject"])
def test_who_may_not_act_can_not_choose(org, role, action):
    choose(client_of(factories.user(org, role)), action, [factories.draft(org)])

    assert not BulkRun.objects.exists()


def test_only_who_chose_says_yes(org, ops):
    choose(ops, "push", factories.drafts(org, 2))
    run, colleague = BulkRun.objects.get(), client_of(factories.user(org))

    shown = text(colleague.get(reverse("admin:bulk_run", args=[run.pk])))
    answer = colleague.post(reverse("admin:bulk_run_confirm", args=[run.pk]))

    assert "who selected these orders, can confirm" in shown
    assert answer.status_code == 403
    assert not ERPExport.objects.exists()


def test_another_orgs_run_is_not_there(org, ops):
    choose(ops, "push", factories.drafts(org, 2))
    run, stranger = BulkRun.objects.get(), client_of(factories.user(factories.org(), Role.ADMIN))

    for name in ("admin:bulk_run", "admin:bulk_run_confirm"):
        url = reverse(name, args=[run.pk])
        assert (stranger.get(url).status_code, stranger.post(url).status_code) == (404, 404)
    assert str(run.pk) not in text(stranger.get(reverse("admin:bulk_bulkrun_changelist")))


def test_the_results_can_be_looked_through_by_outcome(org, ops):
    drafts = [*factories.drafts(org, 2), *factories.drafts(org, 1, status=DraftStatus.READY)]
    choose(ops, "push", drafts)
    run = BulkRun.objects.get()
    confirm(ops, run)

    page = text(ops.get(reverse("admin:bulk_run", args=[run.pk]), {"outcome": Outcome.REFUSED}))

    assert "only an approved order can be pushed" in page
    assert drafts[0].external_order_number not in page
    assert drafts[2].external_order_number in page


def test_while_it_runs_the_page_says_how_far_it_is(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    choose(ops, "push", factories.drafts(org, 3))
    run = BulkRun.objects.get()

    page = text(confirm(ops, run))
    part = ops.get(reverse("admin:bulk_run", args=[run.pk]), headers={"X-Requested-Part": "run"})

    assert "0 of 3" in page
    assert "data-running" in text(part)
    assert "<html" not in text(part)
    runs.execute(run.pk)
    assert "data-running" not in text(ops.get(reverse("admin:bulk_run", args=[run.pk])))


def test_more_than_one_run_takes_is_told_on_the_list(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "MAX_ROWS", 2)

    answer = choose(ops, "push", factories.drafts(org, 3))

    assert levels(ops.get(answer.url)) == ["error"]
    assert not BulkRun.objects.exists()


def test_runs_are_listed_with_their_state(org, ops):
    user = factories.user(org)
    unconfirmed = runs.make(BulkAction.PUSH, [factories.draft(org).pk], actor=user)
    runs.confirm(runs.make(BulkAction.REJECT, [factories.draft(org).pk], actor=user))

    page = text(ops.get(reverse("admin:bulk_bulkrun_changelist")))

    assert "Not confirmed, nothing was changed" in page
    assert "Finished" in page
    opened = ops.get(reverse("admin:bulk_bulkrun_change", args=[unconfirmed.pk]))
    assert opened.url == reverse("admin:bulk_run", args=[unconfirmed.pk])
