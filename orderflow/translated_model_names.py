"""Our models and their fields speak the reader's language, though no model spells it out field by field."""

from django.apps import apps
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

# Where what Django makes of a field's name is no English.
BETTER = {
    "erp customer number": "customer number in the ERP",
    "sha256": "SHA-256",
    "email": "e-mail address",
    "is active": "active",
    "date joined": "added on",
    "org": "organisation",
    "orgs": "organisations",
    "user": "person",
    "users": "people",
    "last test success": "last test passed",
    "stays": "stays in its folder",
    "filename": "file name",
}


def speak() -> None:
    """Once all models are there, and before a form is made of one. Migrations see nothing of it."""
    for model in apps.get_models():
        if model.__module__.startswith(("orderflow.", "erp_connectors.")):
            _name(model)


def _name(model: type[Model]) -> None:
    opts = model._meta
    opts.verbose_name = _said(opts.verbose_name)
    opts.verbose_name_plural = _said(opts.verbose_name_plural)
    for field in opts.local_fields:
        field.verbose_name = _said(field.verbose_name)
        field.help_text = _(str(field.help_text)) if field.help_text else ""


def _said(name: object) -> str:
    english = str(name)
    return _(BETTER.get(english, english))  # type: ignore[return-value]  # lazy, so that it is said when it is shown
