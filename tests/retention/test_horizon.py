"""The archive's note of up to when copies may be missing: replaced by a later one, never by an earlier."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from erp_connectors.archive_watermark import horizon, move_horizon

FIRST = datetime(2026, 3, 1, 4, tzinfo=UTC)


def test_it_moves_forward_and_never_back():
    org_id = uuid4()
    assert horizon(org_id) is None

    move_horizon(org_id, FIRST)
    move_horizon(org_id, FIRST + timedelta(days=1))
    move_horizon(org_id, FIRST)

    assert horizon(org_id) == FIRST + timedelta(days=1)
    assert horizon(uuid4()) is None
