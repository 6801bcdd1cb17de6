"""Base of the admin pages: a user sees the rows of its org and may do what its role permits."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.filters import FieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext

from orderflow.paging import IdsFirst
from orderflow.search.lookups import search_fields
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability
from orderflow.typing_patches import ModelAdmin

# What `date_hierarchy` puts into the address.
DATE_PARTS = ("year", "month", "day")


def may(request: HttpRequest, capability: Capability) -> bool:
    """Return True if the logged-in user has a capability."""
    return isinstance(request.user, User) and request.user.can(capability)


def yes_or_no(fact: bool | None) -> str:
    """In words: the pictures of Django's admin are read out as English."""
    return gettext("not known") if fact is None else gettext("yes") if fact else gettext("no")


def without_link(relation: str, label: Any) -> Callable[[Any], str]:
    """Return a read-only field for a relation. Django's own is a link, even if the user may not open the row."""

    @admin.display(description=label)
    def shown(row: Any) -> str:
        related = getattr(row, relation)
        # Django would show None as "None".
        return "-" if related is None else str(related)

    return shown


class OrgScopedAdmin(ModelAdmin):
    """``view`` and ``change`` name the capabilities needed; None as ``change`` makes a page read-only.

    ``audited``: the audit log has what is changed here, so Django's own log need not have it, too.
    ``linked`` are further parameters, exactly as other pages link to them.
    """

    view: ClassVar[Capability] = Capability.READ
    change: ClassVar[Capability | None] = None
    may_add: ClassVar[bool] = False
    audited: ClassVar[bool] = False
    linked: ClassVar[tuple[str, ...]] = ("org__id__exact",)
    paginator = IdsFirst

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._default_manager.visible_to(signed_in(request))
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)
        except (OverflowError, ValueError) as error:
            # The URL may contain a year out of range, which only the query reports.
            raise IncorrectLookupParameters from error

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search in the normal form of the fields."""
        fields = self.get_search_fields(request)
        if not fields or not search_term.strip():
            return queryset, False
        return search_fields(queryset, search_term, *fields), False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, self.view)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.view)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.change is not None and may(request, self.change)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Platform staff belong to no org, so what they add would belong to none.
        in_an_org = isinstance(request.user, User) and request.user.org_id is not None
        return self.may_add and in_an_org and self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only the exact parameters that the list's filters and our own links use.

        Any other lookup would let a user ask about columns that the page does not show, also of other tables.
        """
        return lookup in self.linked or (request is not None and lookup in self._filter_parameters(request))

    def _filter_parameters(self, request: HttpRequest) -> set[str]:
        """Return every parameter that a filter of this list takes out of the address."""
        found: set[str] = {f"{self.date_hierarchy}__{part}" for part in DATE_PARTS if self.date_hierarchy}
        offered: Iterable[Any] = self.get_list_filter(request)
        for chosen in offered:
            if not isinstance(chosen, str | tuple | list):
                found.add(chosen.parameter_name)
                continue
            name, make = (chosen, FieldListFilter.create) if isinstance(chosen, str) else chosen
            field: Any = get_fields_from_path(self.model, name)[-1]
            found.update(make(field, request, {}, self.model, self, name).expected_parameters())
        return found

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        manager = db_field.remote_field.model._default_manager
        if hasattr(manager, "visible_to"):
            kwargs["queryset"] = manager.visible_to(signed_in(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None if self.audited else super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None if self.audited else super().log_change(request, obj, message)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change and hasattr(obj, "org_id") and obj.org_id is None:
            obj.org = signed_in(request).org
        super().save_model(request, obj, form, change)


@admin.register(Org)
class OrgAdmin(OrgScopedAdmin):
    """Platform staff make orgs; an org's admins look at their own."""

    view = Capability.ADMINISTER
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    fields = ("name", "slug")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.is_platform_staff

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)
