"""Actions on one row of the admin: a button, a page with a preview, and the POST that executes the action.

One view serves all of them. Each model has a table of `RowAction`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orderflow.input_rules.forms import NotesText
from orderflow.messages import Message, Refusal, text
from orderflow.tenancy.admin import OrgScopedAdmin, may
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

TEMPLATE = "admin/erp_connectors/row_action.html"
MAX_NOTE = 2000


@dataclass(frozen=True, slots=True)
class ActionPreview:
    """Show the user what the action will do. ``obstacles`` block it; ``warnings`` do not."""

    sentences: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    obstacles: Sequence[str] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAction:
    """``execute`` returns the message for the user. It raises `Refusal` if it changed nothing."""

    name: str
    label: Any
    capability: Capability
    is_available: Callable[[Any], bool]
    preview: Callable[[Any], ActionPreview]
    execute: Callable[[Any, User, str], str]
    note_help: Any = ""
    destructive: bool = False


class NoteForm(forms.Form):
    note = NotesText(
        label=gettext_lazy("Note"), max_length=MAX_NOTE, widget=forms.Textarea(attrs={"rows": 3})
    )


@dataclass(frozen=True, slots=True)
class Button:
    label: Any
    url: str
    primary: bool = field(default=False, kw_only=True)


class RowActionPages(OrgScopedAdmin):
    """Add action pages to a model's admin. `version` changes with the row, so a stale confirmation is refused."""

    row_actions: ClassVar[tuple[RowAction, ...]] = ()
    key: ClassVar[str] = "uuid"

    def version(self, row: Any) -> str:
        return str(row.updated_at.isoformat())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.action_page)
        return [path(f"<{self.key}:pk>/do/<slug:name>/", view, name=self._url_name), *super().get_urls()]

    @property
    def _url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_action"

    def buttons(self, request: HttpRequest, row: Any, primary: str) -> list[Button]:
        """Return the buttons that the row's state and the user's role allow."""
        allowed = [
            action
            for action in self.row_actions
            if may(request, action.capability) and action.is_available(row)
        ]
        return [
            Button(action.label, self._action_url(row, action.name), primary=action.name == primary)
            for action in allowed
        ]

    def _action_url(self, row: Any, name: str) -> str:
        return reverse(f"admin:{self._url_name}", args=[row.pk, name])

    def action_page(self, request: HttpRequest, pk: UUID | int, name: str) -> HttpResponse:
        """Show the preview on GET and execute the action on POST. Raise `PermissionDenied` or `Http404`."""
        action = next((action for action in self.row_actions if action.name == name), None)
        row = self.get_queryset(request).filter(pk=pk).first()
        if action is None or row is None:
            raise Http404
        if not may(request, action.capability):
            raise PermissionDenied
        note = NoteForm(request.POST or None) if action.note_help else None
        if request.method == "POST" and (note is None or note.is_valid()):
            self._do(request, row, action, note.cleaned_data["note"] if note else "")
            return redirect(self._page_of(row))
        if not action.is_available(row):
            messages.error(request, text(_stale(row)))
            return redirect(self._page_of(row))
        return self._ask(request, row, action, note)

    def _ask(self, request: HttpRequest, row: Any, action: RowAction, note: NoteForm | None) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": action.label,
            "subtitle": str(row),
            "action": action,
            "preview": action.preview(row),
            "note": note,
            "version": request.POST.get("version") or self.version(row),
            "back": self._page_of(row),
        }
        return TemplateResponse(request, TEMPLATE, context)

    def _do(self, request: HttpRequest, row: Any, action: RowAction, note: str) -> None:
        try:
            with transaction.atomic():
                self._require_unchanged(row, action, request.POST.get("version", ""))
                message = action.execute(row.pk, signed_in(request), note)
        except Refusal as refused:
            messages.error(request, f"{_('Nothing was done.')} {text(refused.message)}")
        else:
            messages.success(request, message)

    def _require_unchanged(self, row: Any, action: RowAction, version: str) -> None:
        """Lock the row, so that it stays as the user confirmed it. Raise `Refusal` if it has changed."""
        now: Any = self.model._default_manager.select_for_update(of=("self",)).get(pk=row.pk)
        if not action.is_available(now):
            raise Refusal(_stale(now))
        if self.version(now) != version:
            raise Refusal(Message("action.row_changed"))

    def _page_of(self, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])


def _stale(row: Any) -> Message:
    return Message("action.no_longer_possible", row=str(row), status=str(row.get_status_display()))
