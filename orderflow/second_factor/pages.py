"""A person's own second factor: set up, recovery codes renewed, turned off."""

from typing import Any

import segno
from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from orderflow.second_factor import codes, services
from orderflow.second_factor.forms import CodeForm, FirstCodeForm
from orderflow.second_factor.models import SecondFactor
from orderflow.second_factor.sealing import opened, sealed
from orderflow.secrets.crypto import Undecryptable
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in


def own_page(request: HttpRequest) -> HttpResponse:
    """Show the state of the second factor, or set it up if there is none."""
    person = signed_in(request)
    factor = SecondFactor.objects.filter(pk=person.pk).first()
    if factor is None:
        return _set_up_page(request, person)
    return _page(
        request,
        "status",
        factor=factor,
        left=services.recovery_codes_left(person),
        made=codes.RECOVERY_CODES,
    )


def codes_page(request: HttpRequest) -> HttpResponse:
    """Renews the recovery codes."""
    person, form = signed_in(request), CodeForm(request.POST or None)
    if not services.has_one(person):
        return redirect("admin:second_factor")
    if _confirmed(request, person, form):
        return _page(request, "codes", codes=services.renew_recovery_codes(person))
    asked = {
        "heading": _("New recovery codes"),
        "what": _("Ten new recovery codes are generated and shown once. Your old codes stop working."),
        "button": _("Generate new recovery codes"),
    }
    return _page(request, "confirm", form=form, **asked)


def off_page(request: HttpRequest) -> HttpResponse:
    person, form = signed_in(request), CodeForm(request.POST or None)
    if not services.has_one(person):
        return redirect("admin:second_factor")
    if _confirmed(request, person, form):
        services.turn_off(person)
        messages.success(request, _("The second factor is off. You now log in with your password only."))
        return redirect("admin:second_factor")
    asked = {
        "heading": _("Turn off the second factor"),
        "what": _(
            "You will log in with your password only. To use a new device, turn the second factor off and "
            "set it up again."
        ),
        "button": _("Turn it off"),
    }
    return _page(request, "confirm", form=form, **asked)


def _set_up_page(request: HttpRequest, person: User) -> HttpResponse:
    secret = _asked_about(request, person)
    form = FirstCodeForm(request.POST or None, initial={"sealed": sealed(secret, person.pk)})
    if request.method == "POST" and form.is_valid():
        try:
            made = services.set_up(person, secret, form.typed_code)
        except services.NotSetUp:
            form.add_error("code", _("This code is wrong. Check the clock of your device."))
        else:
            update_session_auth_hash(request, person)
            return _page(request, "codes", codes=made, set_up=True)
    return _page(
        request,
        "set_up",
        form=form,
        picture=_picture(codes.address(secret, person.email)),
        secret=codes.as_text(secret),
        required=services.lacks_one(person),
    )


def _asked_about(request: HttpRequest, person: User) -> bytes:
    """The secret that the page showed before, or a new one."""
    try:
        return opened(request.POST.get("sealed", ""), person.pk)
    except Undecryptable:
        return codes.new_secret()


def _confirmed(request: HttpRequest, person: User, form: CodeForm) -> bool:
    if request.method != "POST" or not form.is_valid():
        return False
    right = services.passes(person, form.typed_code, request)
    if not right:
        form.refuse(person)
    return right


def _picture(address: str) -> SafeString:
    """Always black on white, which every camera reads; no style attribute, which the site's policy forbids."""
    made = segno.make(address, error="m", micro=False)
    svg = made.svg_inline(omitsize=True, svgclass="qr", lineclass=None, dark="#000", light="#fff", border=3)
    return mark_safe(svg)  # noqa: S308  # of rectangles only


def _page(request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    shown = {**admin.site.each_context(request), "title": _("Second factor"), **context}
    return TemplateResponse(request, f"admin/second_factor/{name}.html", shown)
