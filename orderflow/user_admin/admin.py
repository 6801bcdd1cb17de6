"""Admin pages for the users of an org: add, change, deactivate, unlock."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from orderflow.accounts import lockout, users
from orderflow.second_factor.resetting import may_reset, reset_page
from orderflow.second_factor.services import has_one, takes_recovery_codes_only
from orderflow.tenancy.admin import OrgScopedAdmin, may, yes_or_no
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability
from orderflow.user_admin.forms import PasswordForm, UserForm, new_user_form

_hide_passwords = method_decorator(sensitive_post_parameters())


@admin.register(User)
class UserAdmin(OrgScopedAdmin):
    """Let the admins of an org manage its users. Users are deactivated, never deleted."""

    view = Capability.ADMINISTER
    change = Capability.ADMINISTER
    form = UserForm
    list_display = ("email", "role", "org", "state", "last_login")
    list_filter = ("role", "is_active")
    list_select_related = ("org",)
    search_fields = ("email",)
    search_help_text = gettext_lazy("E-mail address")
    ordering = ("email",)
    readonly_fields = ("org", "last_login", "date_joined", "second_factor", "tokens")
    fields = ("email", "role", "is_active", "org", "last_login", "date_joined", "second_factor", "tokens")
    audited = True

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["orderflow/records.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request, Capability.ADMINISTER)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/password/", wrap(self.password_page), name="auth_user_password_change"),
            path("<uuid:pk>/unlock/", wrap(self.unlock_page), name="tenancy_user_unlock"),
            path(
                "<uuid:pk>/second-factor/", wrap(self.second_factor_page), name="tenancy_user_second_factor"
            ),
            *super().get_urls(),
        ]

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if signed_in(request).is_platform_staff else [name for name in shown if name != "org"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            return new_user_form(signed_in(request).org)
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.actor = signed_in(request)
        if "role" in form.base_fields:
            form.base_fields["role"].required = True
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            org = () if signed_in(request).org else ("org",)
            return [(None, {"fields": ("email", *org, "role", "password1", "password2")})]
        fields = ["active" if name == "is_active" and obj == request.user else name for name in self.fields]
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        if obj == request.user:
            # Users can't deactivate themselves, nor the last admin of an org.
            return (*self.readonly_fields, "role", "active")
        return self.readonly_fields if obj.org_id else (*self.readonly_fields, "role")

    @admin.display(description=gettext_lazy("status"), ordering="is_active")
    def state(self, person: User) -> str:
        return _("active") if person.is_active else _("switched off")

    @admin.display(description=gettext_lazy("active"), ordering="is_active")
    def active(self, person: User) -> str:
        return yes_or_no(person.is_active)

    @admin.display(description=gettext_lazy("second factor"))
    def second_factor(self, person: User) -> str:
        blocked = takes_recovery_codes_only(person)
        return (
            _("yes; after too many wrong codes only recovery codes")
            if blocked
            else yes_or_no(has_one(person))
        )

    @admin.display(description=gettext_lazy("API tokens"))
    def tokens(self, person: User) -> str:
        return str(users.open_tokens(person))

    @_hide_passwords
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        person = self.get_object(request, object_id)
        locks = lockout.locks_on(person.email, now=timezone.now()) if person else []
        shown = {"locks": locks, "may_reset": person is not None and may_reset(signed_in(request), person)}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        save = users.change_user if change else users.add_user
        save(obj, actor=signed_in(request))

    @_hide_passwords
    def password_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        person = self._person(request, pk)
        form = PasswordForm(person, request.POST or None)
        if request.method == "POST" and form.is_valid():
            form.set_by(signed_in(request))
            if person == request.user:
                update_session_auth_hash(request, person)
            messages.success(
                request,
                _("%(person)s has a new password. Sessions and API tokens of the old one have ended.")
                % {"person": person},
            )
            return redirect("admin:tenancy_user_change", person.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": person,
            "title": _("Set a new password"),
            "subtitle": str(person),
            "form": form,
        }
        return TemplateResponse(request, "admin/tenancy/user/password.html", context)

    def unlock_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        person = self._person(request, pk)
        if request.method == "POST":
            if users.unlock(person, actor=signed_in(request)):
                messages.success(request, _("%(person)s can log in again.") % {"person": person})
            else:
                messages.info(request, _("%(person)s was not locked out.") % {"person": person})
        return redirect("admin:tenancy_user_change", person.pk)

    def second_factor_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return reset_page(request, self._person(request, pk))

    def _person(self, request: HttpRequest, pk: UUID) -> User:
        """Raises `PermissionDenied`, `Http404`."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        person: User | None = self.get_queryset(request).filter(pk=pk).first()
        if person is None:
            raise Http404
        return person
