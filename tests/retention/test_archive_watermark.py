"""The archive watermark only moves forward."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from erp_connectors.archive_watermark import advance_watermark, watermark

FIRST = datetime(2026, 3, 1, 4, tzinfo=UTC)


def test_it_moves_forward_and_never_back():
    org_id = uuid4()
    assert watermark(org_id) is None

    advance_watermark(org_id, FIRST)
    advance_watermark(org_id, FIRST + timedelta(days=1))
    advance_watermark(org_id, FIRST)

    assert watermark(org_id) == FIRST + timedelta(days=1)
    assert watermark(uuid4()) is None
