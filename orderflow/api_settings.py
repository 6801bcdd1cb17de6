"""Settings of Django REST Framework and of drf-spectacular."""

from typing import Any


def rest_framework(trusted_proxies: int) -> dict[str, Any]:
    """Return the value of REST_FRAMEWORK."""
    return {
        # Only our own proxies tell a client's true address; a client can forge the rest of the header.
        "NUM_PROXIES": trusted_proxies,
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "erp_connectors.api.accounts.authentication.ByToken",
            "rest_framework.authentication.SessionAuthentication",
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["erp_connectors.api.common.parsing.StrictJSON"],
        "DEFAULT_FILTER_BACKENDS": ["erp_connectors.api.common.parsing.StrictFilters"],
        "DEFAULT_SCHEMA_CLASS": "erp_connectors.api.description.schema.Described",
        "EXCEPTION_HANDLER": "erp_connectors.api.common.errors.handle",
        "DEFAULT_THROTTLE_CLASSES": [
            "erp_connectors.api.accounts.throttles.WriteThrottle",
            "erp_connectors.api.accounts.throttles.PublicThrottle",
        ],
        "COERCE_DECIMAL_TO_STRING": True,
    }


SPECTACULAR: dict[str, Any] = {
    "TITLE": "OrderFlow ERP dropzone",
    "DESCRIPTION": (
        "From an approved order to the ERP and back. To try it here, log in "
        "[in the browser](/admin/login/?next=/api/v1/docs), or with `auth/login`, and put "
        "`Token …` under *Authorize*."
    ),
    "VERSION": "1",
    "SERVERS": [{"url": "/", "description": "This installation"}],
    "CONTACT": {"name": "The operators of this installation"},
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "erp_connectors.api.description.schema.complete",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PUBLIC": True,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_SETTINGS": {
        "persistAuthorization": False,
        "validatorUrl": None,
        "displayRequestDuration": True,
    },
    "ENUM_NAME_OVERRIDES": {
        "DraftStatus": "orderflow.orders.states.DraftStatus",
        "ExportStatus": "erp_connectors.states.ExportStatus",
        "ConnectionStatus": "erp_connectors.states.ConnectionStatus",
        "FailedAs": "erp_connectors.states.FailedAs",
        "AckFileStatus": "erp_connectors.states.AckFileStatus",
        "FaultCode": "erp_connectors.api.common.codes.FAULT_CODES",
        "WarningCode": "erp_connectors.api.common.codes.WARNING_CODES",
        "Stage": "erp_connectors.api.common.codes.STAGES",
        "ErrorCode": "erp_connectors.api.common.errors.ERROR_CODES",
    },
}
