"""Examples of requests and responses, by the serializer's name. A test checks each against its schema."""

from typing import Any

from erp_connectors.connectors.dropzone_csv_v1 import DropzoneCsvV1
from erp_connectors.faults import ARCHIVE_UNAVAILABLE
from erp_connectors.registry import DEFAULT_CONNECTOR_TYPE

ORDER_ID = "550e8400-e29b-41d4-a716-446655440000"
EXPORT_ID = "7d4b1c9e-64a5-4ab9-8f0b-9a3c5f2d1e77"
CONNECTION_ID = "0b5f3c1a-8a39-4a7e-9d64-2f6b1c7e4d10"
FILENAME = "sales_order_550e8400_20261123_100000_abc12345.json"

CONFIG: dict[str, Any] = {
    "mode": "sftp",
    "host": "erp.example.com",
    "port": 22,
    "username": "orderflow",
    "password": "correct horse battery",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHMwCHH0TBaOfJSd4sdQ5gwsm7j/UwAXxaJnI06ctNuO",
    "export_path": "/in",
    "ack_path": "/acks",
}
ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "external_order_number": "PO-12345",
    "status": "APPROVED",
    "customer": "3f1f8a52-1d42-4be0-9a3a-0a5f5dd3c001",
    "customer_name": "Muster GmbH",
    "order_date": "2026-11-20",
    "currency": "EUR",
    "requested_delivery_date": "2026-11-30",
    "notes": "Urgent delivery",
    "approved_by": "ops@acme.example",
    "approved_at": "2026-11-23T09:59:00Z",
    "approved_customer_number": "4711",
    "approved_customer_name": "Muster GmbH",
    "erp_order_id": "",
    "created_at": "2026-11-23T09:12:00Z",
}
WARNING: dict[str, Any] = {
    "code": "DELIVERY_DATE_PAST",
    "message": "The requested delivery date 2026-11-20 is in the past.",
    "params": {"date": "2026-11-20"},
}
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
ORG_ID = "2c9e4d3b-7a10-4f62-a9a7-3c1d5e6f7081"
CUSTOMER = {
    "id": ORDER["customer"],
    "name": "Muster GmbH",
    "erp_customer_number": "4711",
    "default_currency": "EUR",
}
LINE = {
    "line_no": 1,
    "internal_sku": "INT-999",
    "customer_sku_raw": "AB-123",
    "product_description": "Kabel NYM-J 3x1,5",
    "qty": "10.000",
    "uom": "M",
    "unit_price": "1.2300",
    "currency": "EUR",
}
WRITTEN: dict[str, Any] = {
    "external_order_number": "PO-12345",
    "customer": ORDER["customer"],
    "order_date": "2026-11-20",
    "currency": "EUR",
    "requested_delivery_date": "2026-11-30",
    "notes": "Urgent delivery",
    "lines": [LINE],
}
STEP = {
    "name": "login",
    "label": "Login",
    "ok": False,
    "duration_ms": 41,
    "found": "",
    "code": "LOGIN_REFUSED",
    "params": {},
    "error": {
        "code": "LOGIN_REFUSED",
        "params": {},
        "message": "The server refused the login.",
        "who_can_fix_it": "us",
        "hint": "Compare user name and password with what the server's operator gave you.",
        "doc_url": None,
    },
}
TESTED = {"success": False, "steps": [STEP], "guarantee": None}
CONNECTION: dict[str, Any] = {
    "id": CONNECTION_ID,
    "connector_type": DEFAULT_CONNECTOR_TYPE,
    "status": "ACTIVE",
    "config": {**CONFIG, "password": "********"},
    "last_test_at": "2026-11-23T09:00:00Z",
    "last_test_success": True,
    "circuit_opened_at": None,
    "circuit_reason": None,
    "last_success_at": "2026-11-23T10:00:01Z",
    "last_poll_at": "2026-11-23T10:01:00Z",
    "poll_error": None,
    "misnamed_answers": {
        "count": 1,
        "more": False,
        "files": [
            {
                "name": f"{FILENAME}.txt",
                "expected_name": f"ack_{FILENAME}",
                "export_id": EXPORT_ID,
                "since": "2026-11-23T10:01:00Z",
            }
        ],
    },
    "created_at": "2026-11-01T08:00:00Z",
    "updated_at": "2026-11-23T09:00:00Z",
}
EXAMPLES: dict[str, Any] = {
    "IndexOut": {
        "version": "1",
        "links": {
            "documentation": "https://orders.example.com/api/v1/docs",
            "draft_orders": "https://orders.example.com/api/v1/draft-orders",
        },
    },
    "Credentials": {
        "email": "ops@acme.example",
        "password": "correct horse battery",
        "code": "287082",
        "name": "nightly import",
        "expires_in_days": 90,
    },
    "NewToken": {
        "token": "8f2c…",
        "id": "1d0c7f8a-52a4-4f9c-b1e2-6a2a4a3a9b01",
        "name": "nightly import",
        "expiry": "2027-02-21T10:00:00Z",
    },
    "TokenOut": {
        "id": "1d0c7f8a-52a4-4f9c-b1e2-6a2a4a3a9b01",
        "name": "nightly import",
        "created": "2026-11-23T10:00:00Z",
        "expiry": "2027-02-21T10:00:00Z",
        "current": True,
    },
    "OrderOut": ORDER,
    "OrderWithWarningsOut": {**ORDER, "warnings": [WARNING]},
    "OrderWithLinesOut": {**ORDER, "warnings": [WARNING], "missing": [], "lines": [LINE]},
    "NewOrder": {**WRITTEN, "document": {"file_name": "order.pdf", "sha256": SHA256, "size": 48_213}},
    "OrderChange": WRITTEN,
    "CustomerOut": CUSTOMER,
    "MeOut": {
        "id": "6a1c5c0e-4b34-4a5c-8b6e-0d0d9a0e1f02",
        "email": "ops@acme.example",
        "org": {"id": ORG_ID, "name": "ACME GmbH", "slug": "acme"},
        "role": "OPS",
        "capabilities": ["read", "approve", "push"],
    },
    "AuditOut": {
        "id": "c0a8f1de-7f0e-4d55-9c35-7b1a2f3e4d05",
        "created_at": "2026-11-23T09:59:00Z",
        "action": "DRAFT_APPROVED",
        "actor": "ops@acme.example",
        "entity_type": "DraftOrder",
        "entity_id": ORDER_ID,
        "before": None,
        "after": None,
        "ip": "192.0.2.7",
        "user_agent": "curl/8.5.0",
        "request_id": "5f0c9a4b2d3e4f60a1b2c3d4e5f60718",
    },
    "EventOut": {
        "at": "2026-11-23T10:00:01Z",
        "stage": "publish",
        "attempt": 1,
        "what": "published",
        "actor": "",
        "detail": "The temporary file was gone, so the file had already been published.",
        "code": "event.found_published",
        "params": {},
    },
    "BulkRetryIn": {"export_ids": [EXPORT_ID], "dry_run": True},
    "BulkRetryOut": {
        "dry_run": True,
        "results": [
            {
                "export_id": EXPORT_ID,
                "outcome": "RETRY",
                "why": "It was not sent: it is rendered anew and sent.",
                "code": "retry.sends_again",
                "params": {},
                "draft_order_id": ORDER_ID,
                "order_number": "PO-12345",
                "new_export_id": None,
            }
        ],
    },
    "PushOut": {
        "draft_order_id": ORDER_ID,
        "erp_export_id": EXPORT_ID,
        "status": "PENDING",
        "warnings": [WARNING],
    },
    "ExportOut": {
        "id": EXPORT_ID,
        "draft_order_id": ORDER_ID,
        "connection_id": CONNECTION_ID,
        "status": "SENT",
        "failed_as": "",
        "filename": FILENAME,
        "export_format_version": "orderflow_export_json_v1",
        "sha256": SHA256,
        "size": 812,
        "dropzone_path": f"/in/{FILENAME}",
        "erp_order_id": "",
        "error_json": None,
        "conflict_json": None,
        "attempts": 1,
        "next_attempt_at": None,
        "created_at": "2026-11-23T10:00:00Z",
        "sent_at": "2026-11-23T10:00:01Z",
        "overdue_at": None,
        "answered_at": None,
        "payload_removed_at": None,
        "events_removed_at": None,
        "waiting_for": None,
        "unread_answers": [
            {
                "ack_file_id": 17,
                "name": f"ack_{FILENAME}",
                "why": "MALFORMED",
                "reason": '"status" is missing. Write "ACKED" or "FAILED". Keys found: state.',
                "code": "ack.status_missing",
                "params": {"keys": "state"},
                "expected_name": "",
                "since": "2026-11-23T10:01:00Z",
            }
        ],
    },
    "AckFileOut": {
        "id": 17,
        "name": f"ack_{FILENAME}",
        "status": "MALFORMED",
        "reason": '"status" is missing. Write "ACKED" or "FAILED". Keys found: state.',
        "code": "ack.status_missing",
        "params": {"keys": "state"},
        "export_id": EXPORT_ID,
        "draft_order_id": ORDER_ID,
        "connection_id": CONNECTION_ID,
        "size": 52,
        "first_seen_at": "2026-11-23T10:01:00Z",
        "decided_at": "2026-11-23T10:02:00Z",
        "moved_at": "2026-11-23T10:02:00Z",
        "moved_to": f"/acks/error/ack_{FILENAME}",
        "dismissed_at": None,
    },
    "MovedOut": {"connection_id": CONNECTION_ID, "moved": 12, "staged": 0},
    "AcceptedIn": {"erp_order_id": "SO-2026-000123", "note": "Mrs Muster (ERP) on the phone, 11:20"},
    "RefusedIn": {"note": "Mrs Muster (ERP) on the phone: customer 4711 is blocked"},
    "ConnectionOut": CONNECTION,
    "SavedConnection": {**CONNECTION, "test": TESTED},
    "NewConnection": {"connector_type": DEFAULT_CONNECTOR_TYPE, "config": CONFIG, "test_on_save": True},
    "ConnectionChange": {"config": {**CONFIG, "port": 2222}, "test_on_save": True},
    "UnsavedConfig": {"config": CONFIG},
    "UnsavedConnection": {
        "connector_type": DropzoneCsvV1.type,
        "config": {
            **CONFIG,
            "delimiter": ";",
            "decimal_mark": ",",
            "columns": "Article = line.internal_sku\nQty = line.qty",
        },
    },
    "TestOut": TESTED,
}

PUSH_REASON = {"code": "push.not_approved", "params": {"order": "PO-1", "status": "READY"}}
_REFUSALS: dict[int, tuple[str, str, dict[str, Any]]] = {
    401: ("AUTH_REQUIRED", "Invalid token.", {}),
    403: ("FORBIDDEN", "Your role does not allow you to push orders.", {}),
    404: ("NOT_FOUND", "There is no such object.", {}),
    409: ("CONFLICT", "Order PO-1 has the status “Ready”; only an approved order can be pushed.", {}),
    410: (
        "GONE",
        "The content of this file was removed by retention on 1 Mar 2027, 04:00.",
        {},
    ),
    412: (
        "PRECONDITION_FAILED",
        "The payload is not the one that If-Match or If-Unmodified-Since asks for.",
        {},
    ),
    422: (
        "VALIDATION_ERROR",
        "The request is not valid; details name the fields.",
        {"note": [{"code": "required", "message": "This field is required."}]},
    ),
    429: ("RATE_LIMITED", "Request was throttled. Expected available in 12 seconds.", {}),
    500: ("INTERNAL_ERROR", "Something went wrong here. Report it with the request_id.", {}),
    503: ("UNAVAILABLE", "The database does not answer. Send the request again in a few seconds.", {}),
    502: (
        "DEPENDENCY_ERROR",
        f"{ARCHIVE_UNAVAILABLE.meaning} {ARCHIVE_UNAVAILABLE.hint}",
        {},
    ),
}


def refusal(status: int) -> dict[str, Any]:
    code, message, details = _REFUSALS[status]
    request_id = "5f0c9a4b2d3e4f60a1b2c3d4e5f60718"
    reasons = {
        409: PUSH_REASON,
        410: {"code": "export.payload_removed", "params": {"at": "2027-03-01T04:00:00+00:00"}},
        502: {"code": ARCHIVE_UNAVAILABLE.code, "params": {}},
    }
    reason = reasons.get(status)
    error = {"code": code, "message": message, "reason": reason, "details": details, "request_id": request_id}
    return {"error": error}
