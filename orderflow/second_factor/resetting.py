"""Let an admin reset the second factor of a user of the org."""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from orderflow.second_factor import services
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in


def may_reset(actor: User, person: User) -> bool:
    """Return True if the actor may reset this user's second factor. Their own needs a code instead."""
    return actor.pk != person.pk and services.has_one(person)


def reset_page(request: HttpRequest, person: User) -> HttpResponse:
    """Reset the second factor of a user whom the actor may change."""
    actor = signed_in(request)
    if not may_reset(actor, person):
        return redirect("admin:tenancy_user_change", person.pk)
    if request.method == "POST":
        services.reset(person, actor=actor)
        told = _("%(person)s has no second factor any more. Sessions and API tokens have ended.")
        messages.success(request, told % {"person": person})
        return redirect("admin:tenancy_user_change", person.pk)
    context = {
        **admin.site.each_context(request),
        "opts": User._meta,
        "original": person,
        "title": _("Reset the second factor"),
        "subtitle": str(person),
    }
    return TemplateResponse(request, "admin/second_factor/reset.html", context)
