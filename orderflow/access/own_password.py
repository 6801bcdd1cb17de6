"""The page on which everybody changes their own password."""

from typing import Any

from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from orderflow.access.forms import OwnPasswordForm


def own_password_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm, success_url=reverse("admin:password_change_done"), extra_context=context
    )
    return view(request)
