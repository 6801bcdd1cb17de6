"""The page on which users change their own password."""

from typing import Any

from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from orderflow.accounts.users import AccessChanged
from orderflow.user_admin.forms import OwnPasswordForm


class OwnPassword(PasswordChangeView):
    form_class = OwnPasswordForm

    def get_form(self, form_class: Any = None) -> Any:
        form: Any = super().get_form(form_class)
        form.request = self.request
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            return super().form_valid(form)
        except AccessChanged as changed:
            form.add_error(None, str(changed))
            return self.form_invalid(form)


def own_password_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    view = OwnPassword.as_view(success_url=reverse("admin:password_change_done"), extra_context=context)
    return view(request)
