"""Each audit entry is one line of the log, with a stable schema, once it is committed."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from structlog.testing import capture_logs

from orderflow.audit.models import Action, AuditLog
from orderflow.audit.services import Entry, record, record_many
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
# A shipped log is read by programs: adding a name is fine, removing or renaming one is not.
SCHEMA = {
    "event", "log_level", "id", "at", "action", "org_id", "actor_id", "entity_type", "entity_id", "before", "after",
    "ip", "user_agent", "request_id",
}  # fmt: skip


def entry(org: Any) -> Entry:
    return Entry(
        action=Action.DRAFT_APPROVED, org_id=org.pk, entity_type="DraftOrder", entity_id=uuid4(),
        before={"status": "READY"}, after={"status": "APPROVED"},
    )  # fmt: skip


def test_each_entry_is_one_line_once_it_is_committed():
    org = factories.org()
    with capture_logs() as lines, transaction.atomic():
        record_many([entry(org), entry(org)])
        assert lines == []

    assert {line["id"] for line in lines} == {str(pk) for pk in AuditLog.objects.values_list("pk", flat=True)}
    assert {frozenset(line) for line in lines} == {frozenset(SCHEMA)}
    assert (lines[0]["event"], lines[0]["action"], lines[0]["org_id"]) == (
        "audit.entry",
        "DRAFT_APPROVED",
        str(org.pk),
    )


def test_an_entry_that_is_rolled_back_is_no_line():
    org = factories.org()
    with capture_logs() as lines, transaction.atomic():
        record(entry(org))
        transaction.set_rollback(True)

    assert (lines, AuditLog.objects.count()) == ([], 0)
