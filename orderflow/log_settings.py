"""Settings of the log: one line for each event, as JSON or for the console, through structlog and logging."""

import logging
import sys
from typing import Any

import structlog

_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure(log_format: str, level: str) -> dict[str, Any]:
    """Configure structlog, and return LOGGING."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if log_format == "json":
        logging.captureWarnings(True)  # Python would write them as text
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _PROCESSORS,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Each request has one line of ours, with its ids; Django's own would say it again.
            "django.server": {"handlers": [], "level": "CRITICAL", "propagate": True},
            "django.request": {"level": "ERROR"},
            # At DEBUG a traceback with the whole context for each variable that a template may lack.
            "django.template": {"level": "INFO"},
            # Three lines for each task, some of which are enqueued every few seconds only to look for work.
            "django-q": {"level": "INFO" if level == "DEBUG" else "WARNING"},
            # Evidence, whatever LOG_LEVEL is: docs/security/checklist.md.
            "orderflow.audit.entries": {"level": "INFO"},
            "axes": {"level": "WARNING"},  # four lines for each login; the audit log says it in one
            # What matters of a session becomes a Fault with a hint; paramiko logs traces of the same.
            "paramiko": {"level": "CRITICAL"},
        },
    }
