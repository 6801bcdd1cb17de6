"""Texts of the OpenAPI description: summaries of operations, tags, and headers of answers."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Words(NamedTuple):
    """If ``description`` is empty, the method's docstring is used."""

    summary: str
    description: str = ""


# By operationId.
OPERATIONS: Mapping[str, Words] = {
    "index": Words("List the entry points"),
    "login": Words(
        "Log in", "Get a token for e-mail and password. Send it as `Authorization: Token …` from then on."
    ),
    "logout": Words("Log out", "Revoke the token that this request was made with."),
    "auth_tokens_list": Words("List own tokens", "The tokens of the user that are valid, newest first."),
    "auth_tokens_destroy": Words("Revoke a token", "Revoke one of the user's own tokens."),
    "me_retrieve": Words("Show the current user"),
    "draft_orders_list": Words("List orders", "Draft orders, newest first, without their lines."),
    "draft_orders_create": Words("Create an order"),
    "draft_orders_retrieve": Words(
        "Show an order",
        "An order with its lines, with what is missing before it can be READY, and with warnings.",
    ),
    "draft_orders_partial_update": Words("Change an order"),
    "draft_orders_destroy": Words("Delete an order"),
    "draft_orders_ready_create": Words("Mark an order as ready"),
    "draft_orders_reject_create": Words("Reject an order"),
    "draft_orders_approve_create": Words("Approve an order"),
    "draft_orders_push_create": Words("Push an order to the ERP"),
    "draft_orders_retry_push_create": Words("Push an order in ERROR again"),
    "erp_exports_list": Words(
        "List exports", "Exports, newest first. An export is one attempt to hand an order to the ERP."
    ),
    "erp_exports_retrieve": Words(
        "Show an export", "Where the export is, why it waits, and what the ERP answered."
    ),
    "erp_exports_payload_retrieve": Words("Download the order file"),
    "erp_exports_events_list": Words("Show the timeline of an export"),
    "erp_exports_bulk_retry_create": Words("Retry many pushes"),
    "erp_exports_mark_accepted_create": Words("Record that the ERP accepted the order"),
    "erp_exports_mark_refused_create": Words("Record that the ERP refused the order"),
    "ack_files_list": Words(
        "List ack files",
        "Files that were found in ack folders, newest first: the export that each answers, and what became of it.",
    ),
    "ack_files_retrieve": Words(
        "Show an ack file", "The export that the file answers, and what became of it."
    ),
    "customers_list": Words(
        "List customers", "The customers of the org by name; a new order names one by its id."
    ),
    "audit_log_list": Words("List audit entries", "Who did what, when, from where; newest first."),
    "connectors_list": Words(
        "List connections", "The connections of the org to its ERP. Secrets are masked."
    ),
    "connectors_create": Words(
        "Create a connection", "An org has at most one active connection of each type; a second one is a 409."
    ),
    "connectors_retrieve": Words("Show a connection", "Its config with masked secrets, and how it is doing."),
    "connectors_partial_update": Words(
        "Change a connection",
        "`config` replaces the whole config. A secret that is sent back masked keeps its value, unless the change "
        "would send it elsewhere.",
    ),
    "connectors_test_create": Words("Test a connection"),
    "connectors_move_waiting_exports_create": Words("Move waiting exports to the active connection"),
    "connectors_dropzone_json_v1_test_create": Words(
        "Test a config of DROPZONE_JSON_V1", "As `connectors/test-config`, for the first connector type only."
    ),
    "connectors_test_config_create": Words(
        "Test a config", "Nothing is saved. The steps are those of a saved connection."
    ),
    "schema_retrieve": Words("Get the OpenAPI description", "This description, as JSON or YAML."),
    "file_schema": Words(
        "Get a JSON Schema", "The JSON Schema (draft 2020-12) of order files or of answers, open to all."
    ),
}

TAGS = [
    {"name": "auth", "description": "Log in and out; own tokens."},
    {"name": "me", "description": "The user that asks."},
    {"name": "draft-orders", "description": "Orders from their creation to the push."},
    {"name": "erp-exports", "description": "Attempts to hand an order to the ERP, and their answers."},
    {"name": "ack-files", "description": "Answers of the ERP as files."},
    {"name": "customers", "description": "Customers, by whose ids orders name them."},
    {"name": "connectors", "description": "Connections of the org to its ERP."},
    {"name": "audit-log", "description": "The record of who did what."},
    {"name": "schemas", "description": "JSON Schemas of order files and answers."},
    {"name": "schema", "description": "This description."},
    {"name": "index", "description": "Entry points."},
]

REQUEST_ID = {
    "X-Request-ID": {
        "schema": {"type": "string"},
        "required": True,
        "description": "finds the request in the log and the audit log; the one sent, if it was well-formed",
    }
}
RETRY_AFTER = {
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "seconds to wait before a repetition",
    }
}
REPLAYED = {
    "Idempotency-Replayed": {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "there if the same key was answered before: this is that answer",
    }
}
LOCATION = {
    "Location": {
        "schema": {"type": "string", "format": "uri-reference"},
        "required": True,
        "description": "of the object that was made",
    }
}
AUTHENTICATE = {
    "WWW-Authenticate": {"schema": {"type": "string"}, "description": "the scheme that is expected"}
}
ETAG: Mapping[str, Any] = {
    "ETag": {
        "schema": {"type": "string"},
        "required": True,
        "description": "the SHA-256 of the payload, in quotes",
    }
}
