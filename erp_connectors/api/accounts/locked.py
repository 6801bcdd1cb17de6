"""Response to a user who is locked out after too many wrong passwords or codes."""

from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from orderflow.accounts.lockout import account, locked_until, place
from orderflow.api_errors import envelope


def locked_out(
    request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any] | None
) -> HttpResponse:
    now = timezone.now()
    until = locked_until(account(request, credentials), place(request), now=now)
    if until is None:  # the lock ended while the answer was made
        return response
    answer = (
        _for_programs(until, now) if request.path.startswith("/api/") else _for_users(request, until, now)
    )
    answer["Retry-After"] = str(_seconds(until, now))
    return answer


def _for_programs(until: datetime, now: datetime) -> HttpResponse:
    message = _("Too many wrong passwords or codes. Try again in %(wait)s; Retry-After has the seconds.") % {
        "wait": _minutes(until, now)
    }
    return JsonResponse(envelope(429, message), status=429)


def _for_users(request: HttpRequest, until: datetime, now: datetime) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": _("Log in later"), "wait": _minutes(until, now)}
    return render(request, "admin/locked_out.html", context, status=429)


def _seconds(until: datetime, now: datetime) -> int:
    return max(1, ceil((until - now).total_seconds()))


def _minutes(until: datetime, now: datetime) -> str:
    minutes = ceil(_seconds(until, now) / 60)
    return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
