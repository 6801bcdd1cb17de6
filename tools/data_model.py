"""Write `docs/data-model.md`: a diagram of the tables of each area, made from the models, and what a row of each is.

A test fails if the page differs from the models, or if a table has no line in `AREAS` or `PACKAGES`.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.db.models import PROTECT, Field, ForeignKey, Model, OneToOneField, UniqueConstraint

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data-model.md"
# Their columns `org` and `user` are in most tables; lines to these two would hide the others.
EVERYWHERE = ("tenancy.Org", "tenancy.User")

# Area, then the label of each model and what a row of its table is.
AREAS: Mapping[str, Mapping[str, str]] = {
    "Orgs and users": {
        "tenancy.Org": "a tenant",
        "tenancy.User": "a person who logs in: a member of one org with a role, or platform staff with neither",
        "access.Token": "an API token; only its digest is stored",
        "second_factor.SecondFactor": "the authenticator app of one user: its encrypted secret and the last code used",
        "second_factor.RecoveryCode": "the digest of one unused recovery code; deleted when it is used",
    },
    "Orders": {
        "orders.Customer": "a customer of an org, with the number that the ERP has for it",
        "orders.Document": "name, size and sha256 of the file that an order was read from",
        "orders.DraftOrder": "an order; `status` says how far it is, up to the ERP's answer",
        "orders.DraftOrderLine": "one line of an order",
        "orders.ImportedOrder": "an order of an imported file and the draft made from it; prevents a second import",
    },
    "Exports and answers": {
        "erp_connectors.ERPConnection": "one org's way to its ERP: encrypted config, leases, circuit, last poll",
        "erp_connectors.ERPExport": "one attempt to hand one order to the ERP; a retry is a new row",
        "erp_connectors.ERPExportEvent": "one line of an export's timeline; added, never updated",
        "erp_connectors.AckFile": "a file seen in an ack folder: waiting, or what was decided and where it was moved",
    },
    "Notifications": {
        "notify.Subscription": "an e-mail or webhook target, and the events that it wants",
        "notify.PendingEvent": "the outbox: an event, written in the transaction that caused it, until it is notified",
        "notify.Notification": "one message to one subscription, with its attempts; sent, dropped or waiting",
    },
    "Bulk runs and retention": {
        "bulk.BulkRun": "an action on many orders that a user asked for",
        "bulk.BulkRow": "one order of a bulk run and its result",
        "retention.RetentionRun": "one run of retention: the daily one, or one that a user started",
        "retention.RetentionShare": "what one run removed of one org",
    },
    "Audit log and upkeep": {
        "audit.AuditLog": "an audit entry; triggers of the database refuse every change",
        "idempotency.KeyedRequest": "a request with an `Idempotency-Key` and the answer to it",
        "access.ThrottleCount": "how often a throttled action happened in one span of time",
        "erp_connectors.MetricCount": "an increment of a metric; `/metrics` shows the sums",
        "heartbeat.Heartbeat": "when a worker cluster last ran a task",
    },
}
# Tables of Django and of other packages.
PACKAGES: Mapping[str, str] = {
    "admin.LogEntry": "a change made in the admin, as Django records it",
    "auth.Group": "unused",
    "auth.Group_permissions": "unused",
    "auth.Permission": "a model permission of Django; roles decide instead",
    "axes.AccessAttempt": "failed logins of one address and user name",
    "axes.AccessAttemptExpiration": "when such a count expires",
    "axes.AccessFailureLog": "unused",
    "axes.AccessLog": "unused",
    "contenttypes.ContentType": "the name of a model",
    "django_q.OrmQ": "a queued task, which is a wake-up; losing it delays work and loses none",
    "django_q.Schedule": "one of the two schedules",
    "django_q.Task": "always empty: results are not stored",
    "sessions.Session": "a login in the browser",
}

INTRODUCTION = """\
# Data model

`make data-model` writes this page from the models (`tools/data_model.py`). Do not edit it.

A diagram shows the tables of one area and, of their columns, those that make the structure: keys, unique columns, and
columns with a fixed list of values. The models have the rest. `PK` is the primary key, `FK` a foreign key with its
target, `UK` a column that is unique alone or together with others. *Same org*: the database also checks that both rows
belong to one org. *Cascade*: the row is deleted with its target; without it the target cannot be deleted. The last
column of each list is the path from a row to its org, by which [row-level security](security/row-level-security.md)
separates orgs.

Status values and their transitions: `erp_connectors/states.py` and `orderflow/orders/states.py`.

## All tables

Without the lines to `Org` and `User`, which most tables have. A label is the name of the foreign key.
"""
END = """
On PostgreSQL the migration `orders/0002_find_orders_by_number` makes one more table, `orders_number_forms`: the search
forms of order numbers, filled by triggers.
"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of the page. Exit if a table is not described here, or no longer exists."""
    described = {label for area in AREAS.values() for label in area} | set(PACKAGES)
    models = _models()
    if described != set(models):
        sys.exit(f"tools/data_model.py must describe each table: {sorted(described ^ set(models))}")
    areas = {title: [models[label] for label in rows] for title, rows in AREAS.items()}
    ours = [model for area in areas.values() for model in area]
    parts = [INTRODUCTION, _diagram(_relations(ours, besides=EVERYWHERE))]
    for title, area in areas.items():
        entities = [line for model in area for line in _entity(model)]
        parts += [
            f"\n## {title}\n",
            _diagram([*_relations(area), *entities]),
            "",
            *_list(area, AREAS[title]),
            *_unique(area),
        ]
    others = [models[label] for label in PACKAGES]
    parts += ["\n## Tables of Django and other packages\n", *_list(others, PACKAGES), END]
    return "\n".join(parts)


def _models() -> dict[str, type[Model]]:
    return {
        model._meta.label: model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }


def _diagram(lines: Sequence[str]) -> str:
    return "\n".join(["```mermaid", "erDiagram", *(f"    {line}" for line in lines), "```"])


def _relations(models: Sequence[type[Model]], *, besides: Sequence[str] = ()) -> list[str]:
    """Return a line for each foreign key between these models."""
    return [
        f"{_target(key).__name__} {_cardinality(key)} {model.__name__} : {key.name}"
        for model in models
        for key in _foreign_keys(model)
        if _target(key) in models and _target(key)._meta.label not in besides
    ]


def _cardinality(key: "ForeignKey[Any, Any]") -> str:
    one = "|o" if key.null else "||"
    return f"{one}--o|" if isinstance(key, OneToOneField) else f"{one}--o{{"


def _foreign_keys(model: type[Model]) -> "Iterator[ForeignKey[Any, Any]]":
    return (field for field in model._meta.concrete_fields if isinstance(field, ForeignKey))


def _target(key: "ForeignKey[Any, Any]") -> type[Model]:
    target: type[Model] = key.remote_field.model
    return target


def _entity(model: type[Model]) -> list[str]:
    return [f"{model.__name__} {{", *(f"    {line}" for line in _columns(model)), "}"]


def _columns(model: type[Model]) -> Iterator[str]:
    together = {name for constraint in _unique_constraints(model) for name in constraint.fields}
    for field in model._meta.concrete_fields:
        foreign = isinstance(field, ForeignKey)
        unique = field.unique or field.name in together
        keys = {
            "PK": field.primary_key,
            "FK": foreign,
            "UK": unique and not field.primary_key and not foreign,
        }
        shown = ", ".join(name for name, applies in keys.items() if applies)
        if shown or field.choices:
            comment = f'"{_comment(field)}"' if isinstance(field, ForeignKey) else ""
            yield " ".join(filter(None, [_type(field), field.column, shown, comment]))


def _unique_constraints(model: type[Model]) -> Iterator[UniqueConstraint]:
    """Leave out `(org, id)`, which exists only as the target of `SameOrg`."""
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint) and tuple(constraint.fields) != ("org", "id"):
            yield constraint


def _unique(models: Sequence[type[Model]]) -> Iterator[str]:
    lines = [
        f"- {model.__name__}: `{constraint.name}`" + (", under a condition" if constraint.condition else "")
        for model in models
        for constraint in _unique_constraints(model)
    ]
    if lines:
        yield from ["", "Unique constraints:", "", *lines]


def _comment(key: "ForeignKey[Any, Any]") -> str:
    from orderflow.tenancy.same_org import SameOrg  # noqa: PLC0415  # needs the apps

    constraints = key.model._meta.constraints
    same = any(isinstance(one, SameOrg) and one.field == key.name for one in constraints)
    on_delete: Any = key.remote_field.on_delete
    deletion = [] if on_delete is PROTECT else [on_delete.__name__.lower()]
    return ", ".join([_target(key).__name__, *["same org"] * same, *deletion])


def _type(field: "Field[Any, Any]") -> str:
    if isinstance(field, ForeignKey):
        return _type(field.target_field)
    return field.get_internal_type().removesuffix("Field").lower()


def _list(models: Sequence[type[Model]], rows: Mapping[str, str]) -> Iterator[str]:
    from orderflow.tenancy.rls.policies import path_of  # noqa: PLC0415  # needs the apps

    yield "| model | table | a row is | its org |"
    yield "|---|---|---|---|"
    for model in models:
        path = f"`{path_of(model).replace('__', '.')}`" if path_of(model) else "shared"
        yield f"| {model.__name__} | `{model._meta.db_table}` | {rows[model._meta.label]} | {path} |"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orderflow.settings")
    django.setup()
    main()
