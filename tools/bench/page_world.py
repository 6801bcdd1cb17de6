"""Data that only the admin shows: reasons of failed exports, contradictions, and the ack files of a year."""

from django.db import connection

from orderflow.tenancy.models import Org
from tools.bench import read_world
from tools.bench.model_defaults import with_defaults

_ERRORS = """
UPDATE erp_connectors_erpexport SET error_json = jsonb_build_object('code', 'REFUSED_BY_ERP', 'stage', 'ack',
  'attempt', 0, 'params', jsonb_build_object('message', 'Unknown customer ' || left(id::text, 4), 'error_code',
    (ARRAY['ERP_VALIDATION', 'ERP_LIMIT', 'ERP_LOCKED'])[1 + abs(hashtext(id::text)) % 3]))
WHERE status = 'FAILED'
"""
_CONFLICTS = """
UPDATE erp_connectors_erpexport SET conflict_json = '{"file": "error_x.json", "erp_order_id": "",
  "time": "2026-01-01T00:00:00+00:00"}'
WHERE status = 'ACKED' AND abs(hashtext(id::text)) % 5000 = 0
"""
_ACK_FILES = """
INSERT INTO erp_connectors_ackfile (org_id, connection_id, export_id, name, size, mtime, status, reason, body,
  first_seen_at, decided_at, moved_at, moved_to)
SELECT org_id, connection_id, CASE WHEN n < 4 THEN NULL ELSE id END, 'ack_' || filename, 90, 0,
  CASE n WHEN 0 THEN 'UNMATCHED' WHEN 1 THEN 'MALFORMED' ELSE 'APPLIED' END, NULL, '{}', answered_at, answered_at,
  answered_at, ''
FROM erp_connectors_erpexport, LATERAL (SELECT abs(hashtext(id::text)) % 2000 AS n) s WHERE answered_at IS NOT NULL
"""


def fill(exports: int, folder: str) -> list[Org]:
    """The largest org comes first."""
    orgs = read_world.fill(exports, folder)
    with connection.cursor() as cursor:
        for statement in (_ERRORS, _CONFLICTS, with_defaults(_ACK_FILES), read_world.STATISTICS):
            cursor.execute(statement)
    return orgs
