from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors import tasks
from erp_connectors.models import AckFile, ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.exports.deadlines import MIN_ANSWERS, deadline, mark_overdue, overdue
from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow.messages import Message
from tests import factories
from tests.services.acks.test_poll import ACKED, sent


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
    answered_after(site, [10] * (MIN_ANSWERS - 1) + [2])
    (export,) = sent(site)

    assert deadline(site.connection).learned
    assert late(export.sent_at + timedelta(minutes=29)) == set()
    assert late(export.sent_at + timedelta(minutes=31)) == {export}


def test_the_slowest_of_twenty_is_no_rule(site):
    answered_after(site, [10] * (MIN_ANSWERS - 1) + [5000])

    assert deadline(site.connection).after == timedelta(minutes=30)


def test_a_quick_erp_is_given_a_quarter_of_an_hour(site):
    answered_after(site, [0.01] * MIN_ANSWERS)

    assert deadline(site.connection).after == timedelta(minutes=15)


def test_too_few_answers_teach_nothing(site):
    answered_after(site, [1] * (MIN_ANSWERS - 1))

    assert deadline(site.connection) is None


def test_answers_that_came_by_phone_teach_nothing(site):
    answered_after(site, [1] * MIN_ANSWERS)
    AckFile.objects.filter(pk=AckFile.objects.earliest("pk").pk).update(status=AckFileStatus.REPEATED)

    assert deadline(site.connection) is None


def test_another_connections_answers_teach_nothing(site, make_site):
    answered_after(make_site(), [1] * MIN_ANSWERS)

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


def test_what_is_overdue_is_marked_and_told_once(make_site, caplog):
    site = make_site(ack_timeout=600)
    exports = sent(site, 2)
    assert mark_overdue(exports[0].sent_at + timedelta(seconds=500)) == 0

    later = exports[1].sent_at + timedelta(seconds=601)
    assert [mark_overdue(later), mark_overdue(later), mark_overdue(later + timedelta(hours=1))] == [2, 0, 0]

    assert set(ERPExport.objects.overdue()) == set(exports)
    assert [export.overdue_at for export in ERPExport.objects.overdue()] == [later, later]
    assert ERPExportEvent.objects.filter(what="overdue").count() == 2
    assert ERPExportEvent.objects.latest("id").message == Message("event.no_answer_configured", seconds=600)
    assert caplog.text.count("exports.overdue") == 1


def test_an_answer_ends_it(make_site):
    site = make_site(ack_timeout=60)
    (export,) = sent(site)
    mark_overdue(export.sent_at + timedelta(hours=1))
    site.answer(f"ack_{export.filename}", ACKED)

    poll(site.connection.pk)

    assert not ERPExport.objects.overdue().exists()


def test_a_longer_deadline_pardons_and_a_second_time_is_not_told(make_site):
    site = make_site(ack_timeout=60)
    (export,) = sent(site)
    later = export.sent_at + timedelta(hours=1)
    mark_overdue(later)
    connection = ERPConnection.objects.get()
    for seconds, overdue_now in ((86_400, 0), (60, 1)):
        connection.config = {**connection.config, "ack_timeout": seconds}
        connection.save()
        mark_overdue(later)
        assert ERPExport.objects.overdue().count() == overdue_now

    assert ERPExportEvent.objects.filter(what="overdue").count() == 1


def test_the_sweep_notices_it(make_site):
    sent(make_site(ack_timeout=60))
    ERPExport.objects.update(sent_at=timezone.now() - timedelta(hours=1))

    assert "1 exports overdue" in tasks.sweep()
    assert ERPExport.objects.get().is_overdue
