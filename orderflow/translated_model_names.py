"""Translate the names and help texts of our models and fields, without a `verbose_name` on each field."""

from django.apps import apps
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

# Names for fields whose automatic name is not good English.
BETTER = {
    "erp customer number": "customer number in the ERP",
    "sha256": "SHA-256",
    "email": "e-mail address",
    "is active": "active",
    "date joined": "added on",
    "org": "organisation",
    "orgs": "organisations",
    "last test success": "last test passed",
    "stays": "stays in its folder",
    "filename": "file name",
}


def translate_model_names() -> None:
    """Call this after all models are loaded and before a form is made of one. Migrations are not affected."""
    for model in apps.get_models():
        if model.__module__.startswith(("orderflow.", "erp_connectors.")):
            _name(model)


def _name(model: type[Model]) -> None:
    opts = model._meta
    opts.verbose_name = _translated(opts.verbose_name)
    opts.verbose_name_plural = _translated(opts.verbose_name_plural)
    for field in opts.local_fields:
        field.verbose_name = _translated(field.verbose_name)
        field.help_text = _(str(field.help_text)) if field.help_text else ""


def _translated(name: object) -> str:
    english = str(name)
    return _(BETTER.get(english, english))  # type: ignore[return-value]  # lazy, so it is translated when it is shown
