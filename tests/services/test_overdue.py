from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.acks import poll
from erp_connectors.services.overdue import ENOUGH_ANSWERS, deadline, overdue
from erp_connectors.states import AckFileStatus, ExportStatus
from tests import factories
from tests.services.test_acks import ACKED, sent


def answered_after(site, minutes):
    """One answered export for each number of minutes it took."""
    exports = sent(site, len(minutes))
    for export in exports:
        site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    for export, took in zip(exports, minutes, strict=True):
        sent_at = timezone.now() - timedelta(days=1)
        ERPExport.objects.filter(pk=export.pk).update(
            sent_at=sent_at, answered_at=sent_at + timedelta(minutes=took)
        )
    return exports


def late(now):
    return set(overdue(ERPExport.objects.all(), now=now))


def test_a_configured_deadline_counts_from_sending(make_site):
    site = make_site(ack_timeout=600)
    (export,) = sent(site)

    assert late(export.sent_at + timedelta(seconds=599)) == set()
    assert late(export.sent_at + timedelta(seconds=601)) == {export}
    assert str(deadline(site.connection)) == "10 min, as configured"


@pytest.mark.parametrize("config", [{}, {"ack_path": None, "ack_timeout": 600}])
def test_nothing_is_overdue_where_nobody_knows_how_long_it_takes(make_site, config):
    site = make_site(**config)
    (export,) = sent(site)

    assert deadline(site.connection) is None
    assert late(export.sent_at + timedelta(days=365)) == set()


def test_a_deadline_is_learned_from_the_connections_own_answers(site):
    answered_after(site, [10] * (ENOUGH_ANSWERS - 1) + [2])
    (export,) = sent(site)

    assert deadline(site.connection).learned
    assert late(export.sent_at + timedelta(minutes=29)) == set()
    assert late(export.sent_at + timedelta(minutes=31)) == {export}


def test_the_slowest_of_twenty_is_no_rule(site):
    answered_after(site, [10] * (ENOUGH_ANSWERS - 1) + [5000])

    assert deadline(site.connection).after == timedelta(minutes=30)


def test_a_quick_erp_is_given_a_quarter_of_an_hour(site):
    answered_after(site, [0.01] * ENOUGH_ANSWERS)

    assert deadline(site.connection).after == timedelta(minutes=15)


def test_too_few_answers_teach_nothing(site):
    answered_after(site, [1] * (ENOUGH_ANSWERS - 1))

    assert deadline(site.connection) is None


def test_answers_that_came_by_phone_teach_nothing(site):
    answered_after(site, [1] * ENOUGH_ANSWERS)
    AckFile.objects.filter(pk=AckFile.objects.earliest("pk").pk).update(status=AckFileStatus.REPEATED)

    assert deadline(site.connection) is None


def test_another_connections_answers_teach_nothing(site, make_site):
    answered_after(make_site(), [1] * ENOUGH_ANSWERS)

    assert deadline(site.connection) is None


def test_only_unanswered_exports_are_overdue(make_site):
    site = make_site(ack_timeout=60)
    answered, waiting = sent(site, 2)
    site.answer(f"ack_{answered.filename}", ACKED)
    poll(site.connection.pk)
    factories.drafts(site.org, 1)

    assert late(timezone.now() + timedelta(days=1)) == {waiting}
    assert ERPExport.objects.get(pk=answered.pk).status == ExportStatus.ACKED


def test_a_config_that_can_not_be_read_hides_nobody_elses_overdue_exports(make_site):
    site, broken = make_site(ack_timeout=60), make_site(ack_timeout=60)
    (export,) = sent(site)
    sent(broken)
    of_another_row = ERPConnection.objects.get(pk=site.connection.pk).config
    ERPConnection.objects.filter(pk=broken.connection.pk).update(config=of_another_row)

    assert deadline(ERPConnection.objects.get(pk=broken.connection.pk)) is None
    assert late(timezone.now() + timedelta(days=1)) == {export}


def test_statements_do_not_grow_with_exports(make_site, django_assert_num_queries):
    site = make_site(ack_timeout=60)
    sent(site, 5)
    with django_assert_num_queries(2):
        late(timezone.now())

    sent(site, 20)
    with django_assert_num_queries(2):
        late(timezone.now())
