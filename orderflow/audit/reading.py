"""Read the audit log: entries with their objects, and the history of one object."""

import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from orderflow.audit.models import AuditLog
from orderflow.messages import Message, text
from orderflow.tenancy.models import User

MAX_SHOWN = 200
# Large, sealed, or both; no name is made of them.
_HEAVY = (models.TextField, models.JSONField, models.BinaryField)


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` or ``after`` None: it was not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class About:
    """``url`` is empty where there is no page, or none for this reader."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    at: datetime
    who: str
    what: str
    changes: tuple[Change, ...]


def changes(before: Any, after: Any, *, kind: str = "") -> tuple[Change, ...]:
    """Return what differs, in the order of the entry, nested values by their path.

    A value of a field with choices, as of the model named ``kind``, is its label in the active language.
    """
    old, new = dict(_flat("", before)), dict(_flat("", after))
    labels = _labels(kind, {*old, *new})
    return tuple(
        Change(name, _labelled(old.get(name), labels.get(name)), _labelled(new.get(name), labels.get(name)))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    )


def abouts(
    entries: Iterable[AuditLog], reader: User, may_open: Callable[[type[models.Model]], bool]
) -> dict[UUID, About]:
    """Return the object of each entry with its present name, by entry id. One query per type."""
    entries = list(entries)
    names = {kind: _names(kind, entries, reader) for kind in {entry.entity_type for entry in entries}}
    return {entry.pk: _about(entry, names[entry.entity_type], may_open) for entry in entries}


def history(row: models.Model, reader: User) -> list[HistoryEntry]:
    """Return the audit entries of a row and the changes in its form, newest first."""
    audited = AuditLog.objects.visible_to(reader).filter(
        entity_type=type(row).__name__, entity_id=str(row.pk)
    )
    edited = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk)
    )
    found = [
        HistoryEntry(
            one.created_at,
            str(one.actor or ""),
            one.get_action_display(),
            changes(one.before, one.after, kind=one.entity_type),
        )
        for one in audited.select_related("actor").order_by("-created_at")[:MAX_SHOWN]
    ]
    found += [
        HistoryEntry(one.action_time, str(one.user), one.get_change_message(), ())
        for one in edited.select_related("user").order_by("-action_time")[:MAX_SHOWN]
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:MAX_SHOWN]


def _flat(path: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value.keys() == {"code", "params"}:
        yield path, text(Message.from_json(value))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list) and not any(isinstance(inner, dict | list) for inner in value):
        yield path, ", ".join(str(inner) for inner in value)
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _labels(kind: str, names: Container[str]) -> dict[str, dict[str, str]]:
    """Return the labels of those fields of a type that have choices, by name and value."""
    model = _model(kind)
    fields = model._meta.concrete_fields if model else ()
    return {
        field.name: {str(value): str(label) for value, label in field.flatchoices}
        for field in fields
        if field.choices and field.name in names
    }


def _labelled(value: str | None, labels: Mapping[str, str] | None) -> str | None:
    return labels.get(value, value) if labels and value is not None else value


def _names(kind: str, entries: Iterable[AuditLog], reader: User) -> dict[str, str]:
    model = _model(kind)
    if model is None:
        return {}
    rows = model._default_manager.visible_to(reader)  # type: ignore[attr-defined]  # by `_model`
    heavy = [field.name for field in model._meta.concrete_fields if isinstance(field, _HEAVY)]
    ids = {_as_key(model, entry.entity_id) for entry in entries if entry.entity_type == kind} - {None}
    return {str(row.pk): str(row) for row in rows.filter(pk__in=ids).defer(*heavy)}


def _about(entry: AuditLog, names: dict[str, str], may_open: Callable[[type[models.Model]], bool]) -> About:
    model = _model(entry.entity_type)
    if model is None or entry.entity_id not in names:
        # Of a failed login there is only what was tried.
        tried = (entry.after or {}).get("email", "")
        return About(str(tried) or entry.entity_id, "")
    page = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return About(names[entry.entity_id], reverse(page, args=[entry.entity_id]) if may_open(model) else "")


def _model(kind: str) -> type[models.Model] | None:
    """Return the model of a type name, if it is ours and its rows belong to an org."""
    return next(
        (
            model
            for model in apps.get_models()
            if model.__name__ == kind and hasattr(model._default_manager, "visible_to")
        ),
        None,
    )


def _as_key(model: type[models.Model], text: str) -> Any:
    try:
        return model._meta.pk.to_python(text)
    except ValidationError:
        return None
