from typing import Any

from django import template

from orderflow.audit.reading import HistoryEntry, history

register = template.Library()


@register.simple_tag(takes_context=True)
def history_of(context: Any, row: Any) -> list[HistoryEntry]:
    """Return the history of a row that the reader may see."""
    return history(row, context["request"].user)
