from typing import Any

from django import template

from orderflow.audit.reading import HistoryEntry, history

register = template.Library()


@register.simple_tag(takes_context=True)
def history_of(context: Any, row: Any) -> list[HistoryEntry]:
    """What was done to a row, as far as the reader may know."""
    return history(row, context["request"].user)
