"""The two steps of a login in the browser. The user is logged in only after the second."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import login, logout
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.views import LoginView
from django.forms import CharField, TextInput
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from orderflow.second_factor import services
from orderflow.second_factor.forms import CodeForm
from orderflow.tenancy import scope
from orderflow.tenancy.models import User

WAITING = "login_waits_for_code"
WAITS_SECONDS = 300


class AddressField(UsernameField):
    """Takes an address as it was typed. Django's turns look-alike letters into those of ASCII."""

    def to_python(self, value: Any) -> Any:
        return CharField.to_python(self, value)


class LoginForm(AdminAuthenticationForm):
    username = AddressField(widget=TextInput(attrs={"autofocus": True}))


class PasswordStep(LoginView):
    template_name = "admin/login.html"
    authentication_form = LoginForm

    def form_valid(self, form: Any) -> HttpResponse:
        person = form.get_user()
        if not services.has_one(person):
            return super().form_valid(form)
        _wait_for_code(self.request, person, self.get_success_url())
        return redirect("admin:second_factor_code")


def password_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    return PasswordStep.as_view(extra_context=context)(request)


@never_cache
@scope.everything()  # before the login there is no user, and it may be any org's
def code_page(request: HttpRequest) -> HttpResponse:
    person = _waiting(request)
    if person is None:
        return redirect("admin:login")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        left = services.recovery_codes_left(person)
        if services.passes(person, form.typed_code, request):
            return _let_in(request, person, before=left)
        form.refuse(person)
    context = {**admin.site.each_context(request), "title": _("Second factor"), "form": form}
    return TemplateResponse(request, "admin/second_factor/code.html", context)


def _wait_for_code(request: HttpRequest, person: User, next_page: str) -> None:
    """Wait for the code. A user who was logged in before is logged out."""
    logout(request)
    request.session[WAITING] = {
        "user": str(person.pk),
        # A new password or another end of their sessions ends this, too.
        "hash": person.get_session_auth_hash(),
        "until": timezone.now().timestamp() + WAITS_SECONDS,
        "next": next_page,
    }


def _waiting(request: HttpRequest) -> User | None:
    waiting = request.session.get(WAITING)
    if not waiting or waiting["until"] < timezone.now().timestamp():
        return None
    person: User | None = User.objects.filter(pk=waiting["user"], is_active=True).first()
    if person is None or not constant_time_compare(waiting["hash"], person.get_session_auth_hash()):
        return None
    return person


def _let_in(request: HttpRequest, person: User, *, before: int) -> HttpResponse:
    next_page = request.session.pop(WAITING)["next"]
    login(request, person, backend=settings.AUTHENTICATION_BACKENDS[-1])
    left = services.recovery_codes_left(person)
    if left < before:
        messages.warning(
            request,
            _("You used a recovery code. %(left)s are left. Generate new ones under “Second factor”.")
            % {"left": left},
        )
    return redirect(next_page)
