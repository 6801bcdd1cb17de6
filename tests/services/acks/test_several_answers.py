"""An answer file that holds several answers: each is applied or reported, and the file is moved once."""

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from erp_connectors import registry
from erp_connectors.connectors.base import AckName, AckUnreadable, NoOptions
from erp_connectors.models import AckFile, ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.port_types import Ack
from erp_connectors.services.acks import poll as poll_module
from erp_connectors.services.acks import read as reading
from erp_connectors.services.acks.content import body_of, digest
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.acks.shared_folders import foreign_filenames
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import Message
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.acks.test_poll import again, sent
from tests.services.answering import POINTS
from tests.services.conftest import Killed, Site, die
from tests.services.delivery.test_second_connector import CsvConnector

APPLIED, REPEATED, CONFLICT = AckFileStatus.APPLIED, AckFileStatus.REPEATED, AckFileStatus.CONFLICT
WAITING, UNMATCHED, MALFORMED = AckFileStatus.WAITING, AckFileStatus.UNMATCHED, AckFileStatus.MALFORMED


class ListConnector(CsvConnector):
    """Answers as lines ``EXPORT;ok;NUMBER`` or ``EXPORT;no;REASON`` of one file."""

    type = "LIST"

    def acknowledges(self, name: str, options: NoOptions) -> AckName | None:
        return AckName() if name.endswith(".answers") else None

    def parse_ack(self, name: str, body: bytes, options: NoOptions) -> list[Ack]:
        return [self._answer(line) for line in body.decode().splitlines()]

    def _answer(self, line: str) -> Ack:
        export, _, rest = line.partition(";")
        status, _, text = rest.partition(";")
        if status not in ("ok", "no"):
            raise AckUnreadable(f"{line!r} is not an answer")
        accepted = status == "ok"
        return Ack(accepted, text if accepted else None, None, None if accepted else text, None, export)


@pytest.fixture
def make_list_site(make_site: Callable[..., Site], monkeypatch: Any) -> Any:
    monkeypatch.setitem(registry.CONNECTORS, "LIST", "list_connector.ListConnector")
    monkeypatch.setitem(sys.modules, "list_connector", sys.modules[__name__])
    registry.connector_for.cache_clear()

    def make(**config: Any) -> Site:
        site = make_site(**config)
        ERPConnection.objects.filter(pk=site.connection.pk).update(connector_type="LIST")
        site.connection.refresh_from_db()
        return site

    yield make
    registry.connector_for.cache_clear()


@pytest.fixture
def site(make_list_site: Callable[..., Site]) -> Site:
    return make_list_site()


def answer(site, *lines, name="monday.answers"):
    site.answer(name, "".join(f"{line}\n" for line in lines).encode())


def rows(name="monday.answers"):
    return list(AckFile.objects.filter(name=name).order_by("pk").values_list("part", "status"))


def files(site):
    return sorted(str(path.relative_to(site.acks)) for path in site.acks.rglob("*") if path.is_file())


def events(export):
    return list(export.events.filter(stage="ack").values_list("what", flat=True))


def test_each_answer_is_applied_or_reported_and_the_file_moved_once(site):
    first, second = sent(site, 2)
    answer(site, f"{first.filename};ok;SO-1", "nobodys.csv;ok;SO-9", f"{second.filename};ok;SO-2")

    report = poll(site.connection.pk)

    assert (report.listed, report.accepted, report.unmatched, report.moved) == (1, 2, 1, 1)
    assert [again(export).erp_order_id for export in (first, second)] == ["SO-1", "SO-2"]
    assert {again(export).status for export in (first, second)} == {ExportStatus.ACKED}
    assert rows() == [(0, APPLIED), (1, UNMATCHED), (2, APPLIED)]
    assert files(site) == ["processed/monday.answers", "processed/monday.answers.reason.txt"]
    reason = (site.acks / "processed" / "monday.answers.reason.txt").read_text()
    assert "1 of the 3 answers in monday.answers changed nothing" in reason
    assert "Answer 2: No export of this org has the file name nobodys.csv." in reason
    body = (site.acks / "processed" / "monday.answers").read_bytes()
    for row in AckFile.objects.all():
        assert body_of(row) == body
        assert digest(row) == digest(AckFile.objects.get(part=0))
        assert row.moved_to == str(site.acks / "processed" / "monday.answers")
    assert poll(site.connection.pk).listed == 0


def test_acceptances_and_refusals_in_one_file(site):
    first, second = sent(site, 2)
    answer(site, f"{first.filename};no;blocked", f"{second.filename};ok;SO-2")

    report = poll(site.connection.pk)

    assert (report.accepted, report.refused) == (1, 1)
    assert (again(first).failed_as, again(first).draft_order.status) == (FailedAs.REFUSED, DraftStatus.ERROR)
    assert again(first).error_json["params"]["message"] == "blocked"
    assert again(second).status == ExportStatus.ACKED


@pytest.mark.parametrize(
    ("second", "status", "conflict"),
    [("ok;SO-1", REPEATED, False), ("ok;SO-2", CONFLICT, True), ("no;blocked", CONFLICT, True)],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_same_export_twice_ends_as_from_two_files(site, second, status, conflict, reverse):
    (export,) = sent(site)
    lines = [f"{export.filename};ok;SO-1", f"{export.filename};{second}"]
    answer(site, *(reversed(lines) if reverse else lines))

    poll(site.connection.pk)

    export = again(export)
    assert (export.status, export.erp_order_id) == (ExportStatus.ACKED, "SO-1")
    assert (export.conflict_json is not None) is conflict
    assert sorted(status for _, status in rows()) == sorted([APPLIED, status])
    assert files(site) == ["processed/monday.answers"]


def test_a_file_that_answers_no_export_of_ours_goes_to_error(site):
    answer(site, "nobodys.csv;ok;SO-9", "neither.csv;no;blocked")

    assert poll(site.connection.pk).unmatched == 2

    assert files(site) == ["error/monday.answers", "error/monday.answers.reason.txt"]


def test_an_answer_that_must_wait_keeps_the_file_and_not_the_other_answers(site):
    (first,) = sent(site)
    later = push(factories.draft(site.org).pk, actor=None).export
    answer(site, f"{later.filename};ok;SO-2", f"{first.filename};ok;SO-1")

    for _ in range(2):
        report = poll(site.connection.pk)
        assert (report.waiting, report.moved) == (1, 0)
    assert again(first).status == ExportStatus.ACKED
    assert rows() == [(0, WAITING), (1, APPLIED)]

    deliver(site.connection.pk)
    report = poll(site.connection.pk)

    assert (report.accepted, report.moved) == (1, 1)
    assert again(later).erp_order_id == "SO-2"
    assert [events(export) for export in (first, later)] == [["acked"], ["acked"]]
    assert AuditLog.objects.filter(action=Action.EXPORT_ACKED).count() == 2
    assert files(site) == ["processed/monday.answers"]


def test_a_file_that_grows_while_it_waits_repeats_what_was_applied(site):
    first, second = sent(site, 2)
    later = push(factories.draft(site.org).pk, actor=None).export
    lines = [f"{later.filename};ok;SO-3", f"{first.filename};ok;SO-1"]
    answer(site, *lines)
    poll(site.connection.pk)
    answer(site, *lines, f"{second.filename};ok;SO-2")
    deliver(site.connection.pk)

    poll(site.connection.pk)

    assert {again(export).status for export in (first, second, later)} == {ExportStatus.ACKED}
    assert [events(export) for export in (first, second, later)] == [["acked"]] * 3
    assert sorted(rows()) == [(0, APPLIED), (1, APPLIED), (1, REPEATED), (2, APPLIED)]
    assert not AckFile.objects.present().exists()


def test_a_file_with_fewer_answers_than_before_leaves_no_row_behind(site):
    later = push(factories.draft(site.org).pk, actor=None).export
    answer(site, f"{later.filename};ok;SO-1", f"{later.filename};ok;SO-1")
    poll(site.connection.pk)
    assert rows() == [(0, WAITING), (1, WAITING)]
    answer(site, f"{later.filename};ok;SO-1")

    poll(site.connection.pk)

    assert rows() == [(0, WAITING)]
    (site.acks / "monday.answers").unlink()
    poll(site.connection.pk)
    assert rows() == []


def test_one_answer_that_cannot_be_understood_keeps_all_from_being_applied(site):
    (export,) = sent(site)
    answer(site, f"{export.filename};ok;SO-1", "half a li")

    for _ in range(2):
        poll(site.connection.pk)

    assert again(export).status == ExportStatus.SENT
    assert rows() == [(0, MALFORMED)]
    assert "error/monday.answers" in files(site)


@pytest.mark.parametrize("body", [b"", b"x;ok;SO-1\n" * 4])
def test_a_file_without_an_answer_or_with_too_many_is_malformed(site, monkeypatch, body):
    monkeypatch.setattr(reading, "MAX_ANSWERS_IN_FILE", 3)
    site.answer("monday.answers", body)

    for _ in range(2):
        poll(site.connection.pk)

    assert rows() == [(0, MALFORMED)]


def test_an_answer_that_names_no_export_is_reported(site):
    answer(site, ";ok;SO-1")

    assert poll(site.connection.pk).unmatched == 1

    assert AckFile.objects.get().reason == Message("ack.names_no_order_file")


def test_many_answers_are_decided_in_several_transactions(site, at_crashpoint, monkeypatch):
    monkeypatch.setattr(poll_module, "MAX_ANSWERS", 2)
    exports = sent(site, 5)
    for n in range(3):
        answer(site, *(f"{one.filename};ok;SO-1" for one in exports[2 * n : 2 * n + 2]), name=f"{n}.answers")
    at_crashpoint("acks-decided", die)
    with pytest.raises(Killed):
        poll(site.connection.pk)
    accepted = [export for export in exports if again(export).status == ExportStatus.ACKED]
    assert 0 < len(accepted) < len(exports)

    assert poll(site.connection.pk).moved == 3

    assert {again(export).status for export in exports} == {ExportStatus.ACKED}


@pytest.mark.parametrize("point", POINTS)
def test_a_poll_killed_anywhere_loses_and_repeats_nothing(site, at_crashpoint, point):
    first, second = sent(site, 2)
    answer(site, f"{first.filename};ok;SO-1", "nobodys.csv;ok;SO-9", f"{second.filename};no;blocked")
    at_crashpoint(point, die)
    with pytest.raises(Killed):
        poll(site.connection.pk)

    poll(site.connection.pk)

    assert [events(export) for export in (first, second)] == [["acked"], ["refused"]]
    assert rows() == [(0, APPLIED), (1, UNMATCHED), (2, APPLIED)]
    assert set(AckFile.objects.values_list("moved_to", flat=True)) == {
        str(site.acks / "processed" / "monday.answers")
    }
    assert files(site) == ["processed/monday.answers", "processed/monday.answers.reason.txt"]
    assert not AckFile.objects.present().exists()


class TestASharedFolder:
    @pytest.fixture
    def sites(self, make_list_site):
        mine = make_list_site()
        other = make_list_site(ack_path=str(mine.acks))
        other.acks = mine.acks
        return mine, other

    def test_a_file_that_answers_another_org_alone_is_left_alone(self, sites):
        mine, other = sites
        (export,) = sent(other)
        answer(mine, f"{export.filename};ok;SO-1")

        report = poll(mine.connection.pk)

        assert (report.listed, report.others, AckFile.objects.count()) == (0, 1, 0)
        assert poll(other.connection.pk).accepted == 1
        assert again(export).status == ExportStatus.ACKED

    def test_a_file_that_answers_several_orgs_changes_nothing_and_stays(self, sites):
        exports = [export for site in sites for export in sent(site)]
        answer(sites[0], *(f"{export.filename};ok;SO-1" for export in exports))

        for site in sites * 2:
            assert poll(site.connection.pk).waiting == 1

        assert {again(export).status for export in exports} == {ExportStatus.SENT}
        assert files(sites[0]) == ["monday.answers"]
        assert AckFile.objects.filter(org=sites[0].org).get().reason == Message("ack.several_orgs")


def test_reconcile_knows_what_was_handled_and_what_was_not(site):
    first, second = sent(site, 2)
    answer(site, f"{first.filename};ok;SO-1", f"{second.filename};ok;SO-2")
    poll(site.connection.pk)
    lost = [finding for finding in reconcile(site.connection.pk).findings if "answers" in finding.path]
    assert lost == []

    ERPExport.objects.filter(pk=second.pk).update(status=ExportStatus.SENT, answered_at=None)
    AckFile.objects.all().delete()
    ERPExportEvent.objects.all().delete()
    (found,) = [one for one in reconcile(site.connection.pk).findings if "answers" in one.path]
    assert (found.kind, found.export_id) == ("lost", second.pk)


class TestAFileThatIsPartlyDecided:
    """Its first answer is applied, and its second one waits for its export to be written."""

    @pytest.fixture
    def partly(self, site):
        (first,) = sent(site)
        later = push(factories.draft(site.org).pk, actor=None).export
        answer(site, f"{first.filename};ok;SO-1", f"{later.filename};ok;SO-2")
        poll(site.connection.pk)
        assert rows() == [(0, APPLIED), (1, WAITING)]
        return first, later

    def test_and_cannot_be_understood_any_more_shows_its_text(self, site, partly):
        answer(site, "half a li")

        for _ in range(2):
            poll(site.connection.pk)

        row = AckFile.objects.get(status=MALFORMED)
        assert (row.part, body_of(row)) == (0, b"half a li\n")
        assert "error/monday.answers" in files(site)

    def test_and_is_written_anew_with_the_same_size_and_time(self, site, partly):
        first, later = partly
        (other,) = sent(site)
        path = site.acks / "monday.answers"
        before = path.stat()
        answer(site, f"{other.filename};ok;SO-3", f"{later.filename};ok;SO-2")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        deliver(site.connection.pk)

        poll(site.connection.pk)

        assert [again(one).erp_order_id for one in (first, later, other)] == ["SO-1", "SO-2", "SO-3"]
        assert files(site) == ["processed/monday.answers"]

    def test_and_removed_is_not_taken_for_an_earlier_file_of_that_name(self, site):
        first, second = sent(site, 2)
        answer(site, f"{first.filename};ok;SO-1")
        poll(site.connection.pk)
        later = push(factories.draft(site.org).pk, actor=None).export
        answer(site, f"{later.filename};ok;SO-2", f"{second.filename};ok;SO-3")
        text = (site.acks / "monday.answers").read_bytes()
        poll(site.connection.pk)
        (site.acks / "monday.answers").unlink()

        poll(site.connection.pk)

        assert rows() == [(0, APPLIED), (1, APPLIED)]
        row = AckFile.objects.get(part=1)
        assert (row.moved_to, body_of(row)) == ("", text)
        assert not AckFile.objects.present().exists()

    def test_and_removed_keeps_its_text_for_each_decided_answer(self, site):
        first, second = sent(site, 2)
        later = push(factories.draft(site.org).pk, actor=None).export
        answer(site, f"{later.filename};ok;SO-1", f"{first.filename};ok;SO-2", f"{second.filename};ok;SO-3")
        text = (site.acks / "monday.answers").read_bytes()
        poll(site.connection.pk)
        (site.acks / "monday.answers").unlink()

        poll(site.connection.pk)

        assert rows() == [(1, APPLIED), (2, APPLIED)]
        assert [body_of(row) for row in AckFile.objects.order_by("part")] == [text, text]


def test_a_connector_that_raises_keeps_no_other_file_from_being_read(site):
    (export,) = sent(site)
    site.answer("bug.answers", b"\xff")
    answer(site, f"{export.filename};ok;SO-1")

    report = poll(site.connection.pk)

    assert "UnicodeDecodeError" in report.error
    assert again(export).erp_order_id == "SO-1"
    assert files(site) == ["bug.answers", "processed/monday.answers"]


def test_an_answer_that_no_database_can_hold_keeps_no_other_file_from_being_read(site):
    first, second = sent(site, 2)
    answer(site, f"{first.filename};ok;{'9' * 5000}", name="long.answers")
    site.answer("nul.answers", f"{first.filename};no;a\0b".encode())
    answer(site, f"{second.filename};ok;SO-1")

    report = poll(site.connection.pk)

    assert "ValueError in parse_ack" in report.error
    assert [again(one).erp_order_id for one in (first, second)] == ["", "SO-1"]
    assert files(site) == ["long.answers", "nul.answers", "processed/monday.answers"]


def test_a_page_may_name_more_exports_than_a_statement_has_parameters(site):
    (export,) = sent(site)
    names = {export.filename, *(f"{n}.csv" for n in range(70_000))}

    assert foreign_filenames(site.org.pk, names) == set()
    assert foreign_filenames(factories.org().pk, names) == {export.filename}


def test_reconcile_finds_the_one_answer_of_a_file_that_was_not_counted(site):
    first, second = sent(site, 2)
    answer(site, f"{first.filename};ok;SO-1", f"{second.filename};ok;SO-2")
    poll(site.connection.pk)
    ERPExport.objects.filter(pk=second.pk).update(status=ExportStatus.SENT, answered_at=None)
    AckFile.objects.filter(export=second).delete()

    (found,) = [one for one in reconcile(site.connection.pk).findings if "answers" in one.path]

    assert (found.kind, found.export_id) == ("lost", second.pk)


def test_reconcile_reads_files_that_name_more_exports_than_a_statement_has_parameters(site):
    (site.acks / "processed").mkdir(exist_ok=True)
    for n in range(8):
        body = "".join(f"{n}.{m}.csv;ok;SO-1\n" for m in range(9000))
        site.answer(f"processed/{n}.answers", body.encode())

    report = reconcile(site.connection.pk)

    assert {one.kind for one in report.findings if "answers" in one.path} == {"orphaned"}


def test_reconcile_reports_a_connector_that_raises_as_an_error(site):
    (site.acks / "processed").mkdir(exist_ok=True)
    site.answer("processed/bug.answers", b"\xff")

    (problem,) = reconcile(site.connection.pk).errors

    assert "UnicodeDecodeError in parse_ack" in problem
