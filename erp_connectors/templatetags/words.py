"""What is recorded, in the reader's language: ``{{ row.why|in_words }}``, ``{{ export.error_json|fault_said }}``."""

from typing import Any

from django import template

from erp_connectors.messages import in_words
from erp_connectors.services.status.event_texts import fault_message

register = template.Library()
register.filter("in_words", in_words)


@register.filter
def fault_said(error: dict[str, Any] | None) -> str:
    return fault_message(error) if error else ""
