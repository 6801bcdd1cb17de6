"""The hash chains: what somebody changed behind the triggers is found and named."""

import json
import threading
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
import structlog
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from erp_connectors import tasks
from erp_connectors.watch import trail
from erp_connectors.watch.findings import Level
from orderflow.audit import append_only, chain, sealing
from orderflow.audit.models import Action, AuditLog, AuditSeal
from orderflow.audit.services import Entry, record_many
from orderflow.tenancy import scope
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def _as_owner():
    """Without triggers and foreign keys: what only the owner of the tables can do."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
        else:
            append_only.unprotect(connection, *append_only.TABLES)
            cursor.execute("PRAGMA foreign_keys = OFF")
    yield
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = origin")
        else:
            cursor.execute("PRAGMA foreign_keys = ON")
            append_only.protect(connection, *append_only.TABLES)


def write(org, how_many=5, **fields):
    record_many(
        Entry(
            action=Action.CONNECTION_CHANGED,
            org_id=org and org.pk,
            entity_type="ERPConnection",
            entity_id=uuid4(),
            before={"größe": [1, 2.5, None], "a": True},
            after={"n": n},
            **fields,
        )
        for n in range(how_many)
    )


def verify(*arguments):
    out, code = StringIO(), 0
    try:
        call_command("verify_audit", "--json", *arguments, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    return code, {one["org"]: one for one in found if "org" in one}


def of(org, *arguments):
    code, found = verify(*arguments)
    return code, found[str(org.pk)]


def execute(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def seal_at(org, seq):
    return AuditSeal.objects.select_related("entry").get(org=org, seq=seq)


def key(pk):
    return pk if connection.vendor == "postgresql" else pk.hex


def test_each_org_has_a_chain_and_what_belongs_to_none_another(org):
    other = factories.org()
    for _ in range(3):
        write(org, 2)
        write(other, 1)
        write(None, 1)
        assert sealing.seal() == sealing.Sealed(4)

    code, found = verify()

    assert code == 0
    assert {name: one["sealed"] for name, one in found.items()} == {str(org.pk): 6, str(other.pk): 3, "-": 3}
    assert all(one["bad"] is None and one["unsealed"] == 0 for one in found.values())
    assert sealing.seal() == sealing.Sealed(0)


def test_the_tail_that_is_not_sealed_yet_is_told_and_no_break(org):
    write(org, 3)
    sealing.seal()
    write(org, 2)

    assert of(org)[1]["unsealed"] == 2
    code, found = of(org, "--seal", "--org", org.slug)
    assert (code, found["sealed"], found["unsealed"]) == (0, 5, 0)


def test_a_run_is_bounded_and_the_next_goes_on(org, monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 4)
    write(org, 25)

    assert sealing.seal(most=10) == sealing.Sealed(10, more=True)
    assert sealing.seal(most=100) == sealing.Sealed(15)
    assert of(org)[1]["sealed"] == 25


def test_an_entry_committed_late_is_sealed_behind_the_others(org):
    write(org, 3)
    sealing.seal()
    AuditLog.objects.create(org=org, action="LOGIN_FAILED", created_at=timezone.now() - timedelta(minutes=50))

    assert sealing.seal().entries == 1
    assert of(org)[0] == 0


def test_two_who_seal_at_once_seal_each_entry_once(org):
    write(org, 300)
    write(None, 300)

    @scope.everything()
    def work():
        try:
            sealing.seal()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    sealing.seal()
    assert AuditSeal.objects.count() == 600
    assert verify()[0] == 0


EDITS = {
    "action": "DRAFT_PUSHED", "entity_type": "X", "entity_id": "x", "before": '{"a": true}', "after": "null",
    "ip": "10.0.0.1", "user_agent": "x", "request_id": "x", "created_at": "2026-01-01 00:00:00+00:00",
    "actor_id": None, "org_id": None,
}  # fmt: skip


def test_no_column_of_an_entry_is_left_out_of_the_hash():
    assert (
        set(EDITS) | {"id"}
        == {field.attname for field in AuditLog._meta.concrete_fields}
        == set(chain.COLUMNS)
    )


@pytest.mark.usefixtures("_as_owner")
@pytest.mark.parametrize("column", EDITS)
def test_an_edit_of_any_column_is_found_and_the_entry_named(org, column):
    write(org, actor=factories.user(org))
    sealing.seal()
    third = seal_at(org, 3)

    execute(f"UPDATE audit_auditlog SET {column} = %s WHERE id = %s", EDITS[column], key(third.entry_id))  # noqa: S608

    code, found = of(org)
    assert code == 1
    assert (found["bad"]["seq"], found["bad"]["entry_id"], found["sealed"]) == (3, str(third.entry_id), 2)


@pytest.mark.usefixtures("_as_owner")
@pytest.mark.parametrize("seq", [1, 3, 5])
def test_a_removed_entry_is_found(org, seq):
    write(org)
    sealing.seal()
    gone = seal_at(org, seq).entry_id

    execute("DELETE FROM audit_auditlog WHERE id = %s", key(gone))

    code, found = of(org)
    assert (code, found["bad"]["seq"], found["bad"]["entry_id"]) == (1, seq, str(gone))


@pytest.mark.usefixtures("_as_owner")
@pytest.mark.parametrize("seq", [1, 3])
def test_an_entry_removed_with_its_seal_is_found(org, seq):
    write(org)
    sealing.seal()
    gone = seal_at(org, seq)

    execute("DELETE FROM audit_auditseal WHERE id = %s", gone.pk)
    execute("DELETE FROM audit_auditlog WHERE id = %s", key(gone.entry_id))

    code, found = of(org)
    assert (code, found["bad"]["seq"]) == (1, seq)


@pytest.mark.usefixtures("_as_owner")
def test_two_entries_that_changed_places_are_found(org):
    write(org)
    sealing.seal()
    second, third = seal_at(org, 2), seal_at(org, 3)

    execute("UPDATE audit_auditseal SET seq = 99 WHERE id = %s", second.pk)
    execute("UPDATE audit_auditseal SET seq = 2 WHERE id = %s", third.pk)
    execute("UPDATE audit_auditseal SET seq = 3 WHERE id = %s", second.pk)

    code, found = of(org)
    assert (code, found["bad"]["seq"]) == (1, 2)


@pytest.mark.parametrize("sealed", [False, True])
def test_an_entry_put_into_the_past_is_found(org, sealed):
    """Anybody who may write entries can try that."""
    write(org)
    sealing.seal()
    made_up = AuditLog.objects.create(
        org=org, action="DRAFT_APPROVED", created_at=timezone.now() - timedelta(days=3)
    )
    if sealed:
        sealing.seal(everything=True)

    code, found = of(org)
    assert (code, found["bad"]["entry_id"]) == (1, str(made_up.pk))


@pytest.mark.usefixtures("_as_owner")
def test_an_entry_put_between_two_sealed_ones_is_found(org):
    write(org)
    sealing.seal()
    execute("UPDATE audit_auditseal SET seq = seq + 100 WHERE seq > 2")
    execute("UPDATE audit_auditseal SET seq = seq - 99 WHERE seq > 100")
    made_up = AuditLog.objects.create(org=org, action="DRAFT_APPROVED")
    before = seal_at(org, 2).hash
    said = AuditLog.objects.filter(pk=made_up.pk).values_list(*chain.COLUMNS).get()
    AuditSeal.objects.create(org=org, seq=3, entry=made_up, hash=chain.link(before, 3, said))

    code, found = of(org)
    assert (code, found["bad"]["seq"]) == (1, 4)


@pytest.mark.usefixtures("_as_owner")
def test_a_chain_made_anew_or_cut_is_found_by_an_anchor_from_the_log(org):
    write(org)
    with structlog.testing.capture_logs() as logged:
        sealing.seal()
    (anchor,) = [line["anchor"] for line in logged if line["event"] == "audit.sealed"]
    assert of(org, "--anchor", anchor)[1]["bad"] is None
    by_slug = anchor.replace(str(org.pk), org.slug)
    assert of(org, "--anchor", by_slug)[1]["bad"] is None

    third = seal_at(org, 3).entry_id
    execute("DELETE FROM audit_auditseal")
    execute("UPDATE audit_auditlog SET entity_id = 'x' WHERE id = %s", key(third))
    sealing.seal()
    assert of(org)[1]["bad"] is None
    code, found = of(org, "--anchor", anchor)
    assert (code, found["bad"]["seq"]) == (1, 5)

    last = seal_at(org, 5)
    execute("DELETE FROM audit_auditseal WHERE id = %s", last.pk)
    execute("DELETE FROM audit_auditlog WHERE id = %s", key(last.entry_id))
    code, found = of(org, "--anchor", anchor)
    assert (code, found["bad"]["seq"]) == (1, 5)


def test_what_is_no_anchor_or_org_is_refused_by_name(org):
    for wrong in (str(org.pk), f"{org.pk}:x:{'0' * 64}", f"{org.pk}:1:abc", f"nobody:1:{'0' * 64}"):
        with pytest.raises(CommandError, match=r"no anchor|no org"):
            call_command("verify_audit", "--anchor", wrong)
    with pytest.raises(CommandError, match="'nobody'"):
        call_command("verify_audit", "--org", "nobody")


def test_the_sweep_has_it_sealed_once_a_minute(org):
    write(org)
    assert sealing.due(timezone.now())
    assert tasks.seal_audit() == "5 audit entries sealed"
    write(org)
    assert not sealing.due(timezone.now())
    assert sealing.due(timezone.now() + timedelta(minutes=2))


@pytest.mark.usefixtures("_as_owner")
def test_the_doctor_tells_of_a_broken_end_and_of_a_tail_that_grows(org):
    write(org)
    sealing.seal()
    last = seal_at(org, 5)
    execute("UPDATE audit_auditlog SET entity_id = 'x' WHERE id = %s", key(last.entry_id))
    AuditLog.objects.create(org=org, action="LOGIN_FAILED", created_at=timezone.now() - timedelta(minutes=30))

    found = list(trail.audit())

    assert [one for one in found if one.level is Level.ERROR and str(last.entry_id) in one.what]
    assert [one for one in found if one.level is Level.WARNING and "1 entry is not sealed yet" in one.what]
