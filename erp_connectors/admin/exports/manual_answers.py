"""The page that records a manual answer. Its form is also the confirmation."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.models import ERPExport
from erp_connectors.services.acks.manual_answers import (
    MAX_NOTE,
    MAX_ORDER_ID,
    InvalidAnswer,
    ManualAnswerResult,
    MarkRefused,
    mark_accepted,
    mark_refused,
)
from orderflow.input_rules.forms import KeyText, NotesText
from orderflow.messages import text
from orderflow.tenancy.admin import may
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability
from orderflow.transitions import LostRace

TEMPLATE = "admin/erp_connectors/erpexport/manual_answer.html"


class RefusedForm(forms.Form):
    title = gettext_lazy("Mark as refused by the ERP")
    means = gettext_lazy(
        "The order's status becomes Error, with your note as the reason. It can then be corrected and pushed again."
    )
    note = NotesText(
        label=gettext_lazy("Note"),
        max_length=MAX_NOTE,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Write who told you, and what they said."),
    )

    def mark(self, export_id: UUID, actor: User) -> ManualAnswerResult:
        return mark_refused(export_id, actor=actor, note=self.cleaned_data["note"])


class AcceptedForm(RefusedForm):
    title = gettext_lazy("Mark as accepted by the ERP")
    means = gettext_lazy("The order is complete and can't be sent again.")
    erp_order_id = KeyText(label=gettext_lazy("ERP number"), max_length=MAX_ORDER_ID)
    field_order = ("erp_order_id", "note")

    def mark(self, export_id: UUID, actor: User) -> ManualAnswerResult:
        data = self.cleaned_data
        return mark_accepted(export_id, actor=actor, erp_order_id=data["erp_order_id"], note=data["note"])


def manual_answer_page(
    request: HttpRequest, export: ERPExport, *, form_type: type[RefusedForm], context: dict[str, Any]
) -> HttpResponse:
    """Asks, and on POST records. Raises `PermissionDenied`."""
    if not may(request, Capability.PUSH):
        raise PermissionDenied
    form = form_type(request.POST if request.method == "POST" else None)
    if form.is_valid() and _recorded(request, export, form):
        return redirect("admin:erp_connectors_erpexport_change", export.pk)
    return TemplateResponse(
        request,
        TEMPLATE,
        {**context, "form": form, "export": export, "opts": ERPExport._meta, "title": form.title},
    )


def _recorded(request: HttpRequest, export: ERPExport, form: RefusedForm) -> bool:
    """Return False if a field is wrong. The export's page shows a refusal."""
    try:
        marked = form.mark(export.pk, signed_in(request))
    except InvalidAnswer as wrong:
        for field, problem in wrong.problems.items():
            form.add_error(field, text(problem))
        return False
    except (MarkRefused, LostRace) as refused:
        messages.error(request, f"{_('Nothing was changed.')} {text(refused.message)}")
    else:
        said = (
            _("Recorded: %(status)s.") % {"status": marked.export.get_status_display()}
            if marked.changed
            else _("It was already recorded.")
        )
        messages.success(request, said)
    return True
