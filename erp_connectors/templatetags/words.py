"""Records in the reader's language: ``{{ row.why|message_text }}``, ``{{ export.error_json|fault_said }}``."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erp_connectors.fault_records import doc_url
from erp_connectors.services.status.event_texts import fault_text
from orderflow.messages import text

register = template.Library()
register.filter("message_text", text)


@register.filter
def fault_code(code: str) -> SafeString:
    """Return the code, as a link to its row in the docs if DOCS_URL says where they are."""
    link = doc_url(code)
    shown = format_html("<code>{}</code>", code)
    return format_html('<a href="{}">{}</a>', link, shown) if link else shown


@register.filter
def fault_said(error: dict[str, Any] | None) -> str:
    return fault_text(error) if error else ""
