"""Many orders and exports of several orgs, by INSERT ... SELECT: what a year of work leaves in the database."""

import json
from hashlib import sha256
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection

from erp_connectors.models import ERPExport
from orderflow.tenancy.models import Org
from tests import factories
from tools.bench.model_defaults import with_defaults

# One org has most of the rows, as in life.
SHARES = (0.6, 0.2, 0.1, 0.07, 0.03)
CUSTOMERS = 2_000
STATISTICS = "VACUUM ANALYZE"
LINES, EVENTS = 2, 3

# Orders are made 20 at a time, as imports and pushes do: many have one and the same time.
_DRAFTS = """
INSERT INTO orders_draftorder (id, org_id, customer_id, external_order_number, order_date, currency, notes, status,
  approved_by_id, approved_at, erp_order_id, created_at, updated_at)
SELECT gen_random_uuid(), %(org)s, (SELECT ids[1 + n %% cardinality(ids)] FROM
    (SELECT array_agg(id) ids FROM orders_customer WHERE org_id = %(org)s) c),
  'PO-' || lpad(n::text, 8, '0'), now()::date, 'EUR', '', status,
  CASE WHEN status IN ('PUSHED', 'PUSHING', 'ERROR', 'APPROVED') THEN %(user)s::uuid END, made,
  CASE WHEN status = 'PUSHED' THEN 'SO-2026-' || lpad((n * 7)::text, 9, '0') ELSE '' END, made, made
FROM (SELECT n, now() - (n / 20) * interval '40 minutes' AS made, CASE WHEN n %% 100 < 90 THEN 'PUSHED'
    WHEN n %% 100 < 94 THEN 'ERROR' WHEN n < 200 THEN 'PUSHING' WHEN n %% 100 < 96 THEN 'READY'
    WHEN n %% 100 < 98 THEN 'NEEDS_REVIEW' ELSE 'REJECTED' END AS status
  FROM generate_series(1, %(orders)s) n) s
"""
_LINES = """
INSERT INTO orders_draftorderline (id, draft_order_id, line_no, internal_sku, customer_sku_raw, product_description,
  qty, uom, unit_price, currency)
SELECT gen_random_uuid(), d.id, n, 'INT-' || n, '', 'Kabel NYM-J 3x1,5', 10.5, 'M', 1.2345, 'EUR'
FROM orders_draftorder d, generate_series(1, %(lines)s) n WHERE d.org_id = %(org)s
"""
_EXPORTS = """
INSERT INTO erp_connectors_erpexport (export_format_version, id, org_id, connection_id, draft_order_id, filename,
  status, failed_as, erp_order_id, sha256, size, approved_at, attempts, created_at, updated_at, sent_at, answered_at,
  overdue_at)
SELECT 'orderflow_export_json_v1', gen_random_uuid(), %(org)s, %(connection)s, d.id,
  left(d.id::text, 8) || '_' || n || '_' || gen_random_uuid() || '.json', s.status,
  CASE WHEN s.status = 'FAILED' THEN 'REFUSED' ELSE '' END, d.erp_order_id,
  md5(d.id::text) || md5(d.id::text), 900, d.created_at, 1, d.created_at + n * interval '1 minute', now(),
  d.created_at, CASE WHEN s.status IN ('ACKED', 'FAILED') THEN d.created_at + interval '2 minutes' END,
  CASE WHEN s.status = 'SENT' AND d.created_at < now() - interval '1 day' THEN now() END
FROM orders_draftorder d, generate_series(1, 2) n,
  LATERAL (SELECT CASE WHEN d.status = 'ERROR' OR n = 1 AND abs(hashtext(d.id::text)) %% 20 = 0 THEN 'FAILED'
     WHEN d.status = 'PUSHING' THEN 'PENDING'
     WHEN abs(hashtext(d.id::text)) %% 50 = 1 THEN 'SENT' ELSE 'ACKED' END AS status) s
WHERE d.org_id = %(org)s AND d.status IN ('PUSHED', 'PUSHING', 'ERROR')
  AND (n = 1 OR abs(hashtext(d.id::text)) %% 20 = 0)
"""
_EVENTS = """
INSERT INTO erp_connectors_erpexportevent (export_id, at, stage, attempt, what)
SELECT e.id, e.created_at + n * interval '1 second', 'stage', 1, 'staged'
FROM erp_connectors_erpexport e, generate_series(1, %(events)s) n WHERE e.org_id = %(org)s
"""
_AUDIT = """
INSERT INTO audit_auditlog (id, org_id, actor_id, action, entity_type, entity_id, user_agent, request_id, created_at)
SELECT gen_random_uuid(), %(org)s, %(user)s, 'DRAFT_PUSHED', 'DraftOrder', id, '', '', created_at
FROM orders_draftorder WHERE org_id = %(org)s
"""
_CUSTOMERS = """
INSERT INTO orders_customer (id, org_id, name, erp_customer_number, default_currency)
SELECT gen_random_uuid(), %(org)s, (ARRAY['Elektro', 'Sanitär', 'Stadtwerke', 'Bau'])[1 + n %% 4] || ' ' || md5(n::text)
  || ' GmbH', (40000 + n)::text, 'EUR' FROM generate_series(1, %(customers)s) n
"""


def fill(exports: int, folder: str) -> list[Org]:
    """The largest org comes first."""
    orgs = [_org(round(exports * share / 0.99), folder) for share in SHARES]
    with connection.cursor() as cursor:
        cursor.execute(STATISTICS)
    return orgs


def _org(exports: int, folder: str) -> Org:
    org = factories.org()
    user = factories.user(org)
    config = {"mode": "filesystem", "export_path": folder, "ack_path": folder}
    values: dict[str, Any] = {
        "org": org.pk,
        "user": user.pk,
        "connection": factories.connection(org, config).pk,
        "orders": exports,
        "customers": max(CUSTOMERS * exports // 120_000, 20),
        "lines": LINES,
        "events": EVENTS,
    }
    with connection.cursor() as cursor:
        for statement in (_CUSTOMERS, _DRAFTS, _LINES, _EXPORTS, _EVENTS, _AUDIT):
            cursor.execute(with_defaults(statement), values)
    return org


def archive(exports: list[ERPExport]) -> None:
    """Bytes for some, as delivery leaves them."""
    for export in exports:
        body = json.dumps({"lines": [{"line_no": n, "qty": 10.5} for n in range(300)]}).encode()
        key = f"exports/{export.org_id}/{export.filename}"
        storages["exports"].save(key, ContentFile(body))
        ERPExport.objects.filter(pk=export.pk).update(
            export_storage_key=key, sha256=sha256(body).hexdigest(), size=len(body)
        )
