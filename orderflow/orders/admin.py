"""Customers, documents and orders. An order is changed through `editing`, its status by actions only."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext, gettext_lazy

from orderflow.input_rules import forms
from orderflow.messages import text
from orderflow.orders.approval import NotReady
from orderflow.orders.drafting import IDENTIFYING
from orderflow.orders.editing import editing
from orderflow.orders.models import Customer, Document, DraftOrder, DraftOrderLine
from orderflow.orders.same_number import hold_customers
from orderflow.orders.search import search
from orderflow.orders.states import EDITABLE, DraftStatus
from orderflow.tenancy.admin import OrgScopedAdmin, may, without_link
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability
from orderflow.transitions import IllegalMove, LostRace
from orderflow.typing_patches import InlineFormSet, TabularInline

# A form with more lines than this is slow to fill and slower to send; DATA_UPLOAD_MAX_NUMBER_FIELDS fits it.
EDITABLE_LINES = 1000
_REFUSALS = (IllegalMove, LostRace, NotReady)


@admin.register(Customer)
class CustomerAdmin(OrgScopedAdmin):
    change = Capability.APPROVE
    may_add = True
    list_display = ["name", "erp_customer_number", "default_currency"]
    search_fields = ["name", "erp_customer_number"]
    fields = ["name", "erp_customer_number", "default_currency"]


@admin.register(Document)
class DocumentAdmin(OrgScopedAdmin):
    list_display = ["file_name", "shown_size", "sha256"]
    search_fields = ["file_name", "sha256"]
    fields = readonly_fields = ("file_name", "shown_size", "sha256")

    @admin.display(description=gettext_lazy("size"), ordering="size")
    def shown_size(self, document: Document) -> str:
        return filesizeformat(document.size)


class LineFormSet(InlineFormSet):
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = gettext("Delete")


class LineInline(TabularInline):
    model = DraftOrderLine
    formset = LineFormSet
    fields = [
        "line_no", "internal_sku", "product_description", "qty", "uom", "unit_price", "currency",
        "customer_sku_raw",
    ]  # fmt: skip
    extra = 0
    formfield_overrides = {models.PositiveIntegerField: {"form_class": forms.WholeNumber}}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # In a table the heading stands for the label, which a screen reader does not find.
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs["aria-label"] = str(db_field.verbose_name)
        return field

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Capability.READ)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Capability.APPROVE) and obj is not None and obj.status in EDITABLE

    has_add_permission = has_delete_permission = has_change_permission


@admin.register(DraftOrder)
class DraftOrderAdmin(OrgScopedAdmin):
    change = Capability.APPROVE
    list_display = ["external_order_number", "customer", "status", "currency", "line_count", "erp_order_id",
                    "created_at"]  # fmt: skip
    list_filter = ["status", "created_at"]
    list_select_related = ["customer", "org"]
    search_fields = [
        "external_order_number",
        "customer__name",
        "customer__erp_customer_number",
        "erp_order_id",
    ]
    search_help_text: ClassVar[Any] = gettext_lazy("Order number, customer's name or number, ERP number")
    autocomplete_fields = ["customer", "document"]
    fields = ["org_name", "status", "external_order_number", "customer", "order_date", "requested_delivery_date",
              "currency", "notes", "document", "approver", "approved_at", "erp_order_id", "line_count"]  # fmt: skip
    readonly_fields = ["org_name", "status", "approver", "approved_at", "erp_order_id", "line_count"]
    inlines = [LineInline]
    org_name = staticmethod(without_link("org", gettext_lazy("organisation")))
    approver = staticmethod(without_link("approved_by", gettext_lazy("approved by")))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A subquery, because a join would count each line as often as a search finds the order.
        lines = DraftOrderLine.objects.filter(draft_order=OuterRef("pk")).order_by().values("draft_order")
        counted = Coalesce(Subquery(lines.annotate(n=Count("pk")).values("n")), 0)
        orders: QuerySet[Any] = super().get_queryset(request).annotate(counted_lines=counted)
        return orders

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search(queryset, signed_in(request), text) if text else queryset), False

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj is None or obj.counted_lines <= EDITABLE_LINES else []

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.status in EDITABLE)

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return may(request, Capability.APPROVE)

    def has_push_permission(self, request: HttpRequest) -> bool:
        return may(request, Capability.PUSH)

    @admin.display(description=gettext_lazy("lines"), ordering="counted_lines")
    def line_count(self, draft: Any) -> str:
        count: int = draft.counted_lines
        return (
            str(count)
            if count <= EDITABLE_LINES
            else gettext("%(count)s (too many to show here)") % {"count": count}
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except _REFUSALS as refusal:
            # Raised out of the view's transaction, so nothing of the form was saved.
            self.message_user(
                request, f"{gettext('Nothing was saved.')} {text(refusal.message)}", messages.ERROR
            )
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: DraftOrder, form: Any, change: bool) -> None:
        """Nothing yet: header and lines are saved together, under one lock, in `save_related`."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        if not (form.has_changed() or any(formset.has_changed() for formset in formsets)):
            super().save_related(request, form, formsets, change)  # writes nothing, and an approval stays
            return
        with editing(form.instance.pk, actor=signed_in(request)) as locked:
            before = locked.status
            if form.instance.customer_id and not IDENTIFYING.isdisjoint(form.changed_data):
                hold_customers([form.instance.customer_id])
            # Only what the form shows: the row's status may have moved on since the form was filled.
            form.instance.save(update_fields=[*form.changed_data, "updated_at"])
            super().save_related(request, form, formsets, change)
        if locked.status != before:
            was = DraftStatus(before).label
            text = gettext("The order was %(status)s. It now needs review and approval again.")
            self.message_user(request, text % {"status": was}, messages.WARNING)
