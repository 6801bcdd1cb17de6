"""Records in the reader's language: ``{{ row.why|message_text }}``, ``{{ export.error_json|fault_said }}``."""

from typing import Any

from django import template

from erp_connectors.services.status.event_texts import fault_text
from orderflow.messages import text

register = template.Library()
register.filter("message_text", text)


@register.filter
def fault_said(error: dict[str, Any] | None) -> str:
    return fault_text(error) if error else ""
