"""The JSON Schema of answers: how to write them well. `ack` understands more than this."""

from typing import Any

_TIME = {"description": "with its zone", "type": ["string", "null"], "format": "date-time"}

_ACCEPTED = {
    "description": "in ack_{order file name}",
    "type": "object",
    "properties": {
        "status": {"const": "ACKED"},
        "erp_order_id": {
            "description": "the number the ERP gave to the order",
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
        "processed_at": {"$ref": "#/$defs/Time"},
    },
    "required": ["status", "erp_order_id"],
}

_REFUSED = {
    "description": "in error_{order file name}",
    "type": "object",
    "properties": {
        "status": {"const": "FAILED"},
        "error_code": {"type": ["string", "null"]},
        "message": {"description": "for people", "type": ["string", "null"], "maxLength": 2000},
        "processed_at": {"$ref": "#/$defs/Time"},
    },
    "required": ["status"],
}

# By cases rather than by `oneOf`: a validator then names what is wrong instead of "fits neither".
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "orderflow_ack_v1.schema.json",
    "title": "The ERP's answer to one order file",
    "description": "Write it like this. More is understood than this; docs/erp.md says what.",
    "type": "object",
    "properties": {"status": {"enum": ["ACKED", "FAILED"]}},
    "required": ["status"],
    "if": {"properties": {"status": {"const": "ACKED"}}},
    "then": {"$ref": "#/$defs/Accepted"},
    "else": {"$ref": "#/$defs/Refused"},
    "$defs": {"Accepted": _ACCEPTED, "Refused": _REFUSED, "Time": _TIME},
}
