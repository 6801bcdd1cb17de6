"""Every text that a user can write, by API, admin or import, goes through the rules of `orderflow.input_rules`.

Whoever adds a column, a form field or a field of a request that holds text meets this test: use a field of
`input_rules`, or say here which stricter rule it has, or that only the program writes it.
"""

import importlib
import pkgutil
import sys

import pytest
from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from drf_spectacular.generators import SchemaGenerator

import erp_connectors
import orderflow
from orderflow.input_rules import forms as ruled_forms
from orderflow.input_rules.fields import CurrencyField, RuledText
from orderflow.orders.importing.checking import Checker
from orderflow.orders.importing.values import Conventions, Refused

BAD = "a\x0bb"
BY_THE_PROGRAM = {
    "counters and keys": {
        "ThrottleCount.key", "Heartbeat.cluster", "MetricCount.name", "MetricCount.label", "Token.digest",
        "Token.token_key",
        "KeyedRequest.scope", "KeyedRequest.operation", "KeyedRequest.fingerprint", "KeyedRequest.token",
        "KeyedRequest.body",
    },
    "made of rows": {
        "ERPExport.export_format_version", "ERPExport.filename", "ERPExport.export_storage_key", "ERPExport.sha256",
        "ERPExport.dropzone_path", "ERPExport.staged_destination", "ERPExport.staged_path", "ERPExportEvent.stage",
        "ERPExportEvent.what", "ImportedOrder.sha256", "RecoveryCode.digest", "AuditLog.entity_type",
        "AuditLog.entity_id",
    },
    "what a server, an ERP or a request told, made printable": {
        "AckFile.name", "AckFile.moved_to", "AuditLog.user_agent",
        "AuditLog.request_id", "RetentionRun.error",
    },
    "sealed": {"ERPConnection.config", "Subscription.url", "SecondFactor.secret"},
}  # fmt: skip
OWN_RULE = {
    "Document.sha256": "64 hex digits",
    "Org.slug": "a slug",
    "User.email": "an address in ASCII",
    "User.password": "a hash",
    "Subscription.addresses": "addresses, one a line",
    "Subscription.language": "one of the site's languages",
    "ERPConnection.connector_type": "one of the registry",
    "KeyedRequest.key": "printable ASCII",
    "ERPExport.idempotency_key": "printable ASCII",
}
OF_REQUESTS = {
    "CredentialsRequest.password": "compared with a hash, never stored or sent",
    "CredentialsRequest.code": "compared, never stored or sent",
    "NewConnectionRequest.connector_type": "one of the registry",
    "UnsavedConnectionRequest.connector_type": "one of the registry",
}
OF_FORMS = {
    "ConnectionForm.connector_type": "one of the registry",
    "LoginForm.username": "looked up as an address",
    "LoginForm.password": "compared with a hash, never stored or sent",
    "CodeForm.code": "compared, never stored or sent",
    "FirstCodeForm.code": "compared, never stored or sent",
    "FirstCodeForm.sealed": "sealed by us",
    "SubscriptionForm.addresses": "split into addresses, each checked",
    "SubscriptionForm.url": "a URL in ASCII",
}


def our_models():
    return [
        model for model in apps.get_models() if model.__module__.startswith(("orderflow", "erp_connectors"))
    ]


def text_columns():
    for model in our_models():
        for field in model._meta.concrete_fields:
            written = field.editable or isinstance(field, RuledText)
            if isinstance(field, models.CharField | models.TextField) and written and not field.choices:
                yield f"{model.__name__}.{field.name}", field


def test_every_text_column_follows_the_rules_or_says_why_not():
    excused = {*OWN_RULE, *(name for names in BY_THE_PROGRAM.values() for name in names)}
    columns = dict(text_columns())
    ruled = {name for name, field in columns.items() if isinstance(field, RuledText | CurrencyField)}

    assert set(columns) - ruled - excused == set()
    assert ruled & excused == set()
    assert excused - set(columns) == set(), "no such column any more"


@pytest.mark.parametrize(
    "field", [field for _, field in text_columns() if isinstance(field, RuledText)], ids=str
)
def test_a_column_that_follows_the_rules_refuses_a_control_character(field):
    with pytest.raises(ValidationError, match=r"U\+000B"):
        field.clean(BAD, None)


def test_every_text_of_a_request_is_described_with_its_rule():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    components = schema["components"]["schemas"]
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for methods in schema["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    unruled = {
        f"{name}.{field}"
        for name in _with_those_within(bodies, components)
        for field, described in components[name]["properties"].items()
        if "string" in str(described.get("type")) and not {"pattern", "enum", "format"} & described.keys()
    }

    assert unruled - OF_REQUESTS.keys() == set()


def _with_those_within(names, components):
    found, queue = set(), list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            text = str(components[name])
            queue += [other for other in components if f"#/components/schemas/{other}'" in text]
    return {name for name in found if components[name].get("type") == "object"}


def test_every_text_of_a_form_follows_the_rules_or_says_why_not():
    for package in (orderflow, erp_connectors):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".forms" in module.name or ".admin" in module.name:
                importlib.import_module(module.name)
    texts = {
        f"{form.__name__}.{name}": type(field)
        for form in _forms(forms.BaseForm)
        if form.__module__.startswith(("orderflow", "erp_connectors"))
        # Not the copies that a request makes for itself and the next garbage collection removes.
        and getattr(sys.modules[form.__module__], form.__name__, None) is form
        for name, field in getattr(form, "base_fields", {}).items()
        if isinstance(field, forms.CharField) and not isinstance(field, forms.EmailField)
    }
    ruled = (ruled_forms.KeyText, ruled_forms.NotesText)
    columns = {"password1", "password2", "old_password", "new_password1", "new_password2", "email"}

    unruled = {
        name
        for name, kind in texts.items()
        if not issubclass(kind, ruled) and name.rpartition(".")[2] not in columns
    }
    assert unruled - OF_FORMS.keys() == set()


def _forms(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from _forms(sub)


def test_every_field_of_an_import_refuses_a_control_character():
    checker = Checker(Conventions())
    tables = {"header": checker._header, "customer": checker._customer, "line": checker._line}
    accepted = []
    for table, converters in tables.items():
        for name, convert in converters.items():
            try:
                convert(BAD)
            except Refused:
                continue
            accepted.append(f"{table}.{name}")
    assert accepted == []
