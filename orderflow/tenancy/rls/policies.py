"""Policies of row-level security, made of the `org_lookup` of the models' querysets.

A row may be seen where its org is claimed, and written where also every row behind the wall that it points to may be
seen: else one org's export could name another's connection, and a worker would carry it there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db.models import CharField, Field, ForeignKey, Model

from orderflow.tenancy.querysets import OrgScopedQuerySet

# The session variable that orderflow.tenancy.postgresql sets.
CLAIM = "orderflow.orgs"
# Whose querysets can't say it: they are a package's, or the org is a part of a text.
ELSEWHERE = {"access.Token": "user__org", "admin.LogEntry": "user__org", "idempotency.KeyedRequest": "scope"}
# What no org owns: kept apart by other means, or by none, as docs/security/row-level-security.md says.
SHARED = {
    "access.ThrottleCount": "counts of throttled actions, by digest or address",
    "auth.Group": "unused",
    "auth.Group_permissions": "unused",
    "auth.Permission": "names of rights",
    "axes.AccessAttempt": "guessed passwords are counted before anybody is anybody",
    "axes.AccessAttemptExpiration": "as before",
    "axes.AccessFailureLog": "unused",
    "axes.AccessLog": "unused",
    "contenttypes.ContentType": "names of models",
    "django_q.OrmQ": "tasks: ids of rows",
    "django_q.Schedule": "the program's own",
    "django_q.Task": "empty: results are not stored",
    "erp_connectors.MetricCount": "counted over all orgs",
    "heartbeat.Heartbeat": "the workers' own",
    "sessions.Session": "read before anybody is anybody",
}


class NotDeclared(Exception):
    """A table that belongs neither to orgs nor to all: its model says nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``command`` ALL or SELECT; policies of one table are alternatives."""

    name: str
    command: str
    using: str
    check: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    model: type[Model]
    policies: tuple[Policy, ...]

    @property
    def name(self) -> str:
        return self.model._meta.db_table


def tables() -> list[Table]:
    """Every table of an org, and its policies."""
    return [Table(model, tuple(_policies(model))) for model in _models() if path_of(model)]


def undeclared() -> list[str]:
    """Return the models that do not declare the org of their rows: no policy would separate orgs there."""
    return [
        model._meta.label for model in _models() if not path_of(model) and model._meta.label not in SHARED
    ]


def path_of(model: type[Model]) -> str:
    """From a row to its org, as a lookup; empty: it has none."""
    rows = model._default_manager.all()
    return rows.org_lookup if isinstance(rows, OrgScopedQuerySet) else ELSEWHERE.get(model._meta.label, "")


def _models() -> Iterator[type[Model]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield model


def _policies(model: type[Model]) -> Iterator[Policy]:
    own = _own(model)
    yield Policy(
        "orderflow_org", "ALL", using=_unless_everything(own), check=_unless_everything(_whole(model, own))
    )
    rows = model._default_manager.all()
    if isinstance(rows, OrgScopedQuerySet) and rows.orgless_are_shown:
        yield Policy(
            "orderflow_orgless", "SELECT", using=f"{_column(model, 'org')} IS NULL AND {_ORGS} <> '{{}}'"
        )


# Sub-selects, so that each is computed once for a statement and not for each row.
_ORGS = f"(SELECT string_to_array(current_setting('{CLAIM}', true), ','))"


def _unless_everything(condition: str) -> str:
    # CASE, because it is computed in order: with OR the planner may look at the rows behind first.
    return f"CASE (SELECT current_setting('{CLAIM}', true)) WHEN '*' THEN true ELSE {condition} END"


def _own(model: type[Model]) -> str:
    return _owned(model, path_of(model).split("__"))


def _owned(model: type[Model], path: list[str]) -> str:
    """Return the SQL that checks that a row's org is claimed; each step but the last joins another table."""
    step, *rest = path
    if not rest:
        return _claimed(_field(model, step), _column(model, step))
    behind = _behind(model, step)
    return _exists(behind, _column(model, step), _owned(behind, rest))


def _claimed(field: "Field[object, object]", column: str) -> str:
    if isinstance(field, CharField):  # "org ID", as the API's idempotency has it
        return f"(left({column}, 4) = 'org ' AND substr({column}, 5) = ANY ({_ORGS}::text[]))"
    return f"{column} = ANY ({_ORGS}::uuid[])"


def _whole(model: type[Model], own: str) -> str:
    """Its own org's, and all it points to is so, too, or is shown to every org."""
    first = path_of(model).split("__")[0]
    pointers = [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey) and field.name != first and path_of(_behind(model, field.name))
    ]
    return " AND ".join([own, *(_reaches(model, field) for field in pointers)])


def _reaches(model: type[Model], field: "ForeignKey[object, object]") -> str:
    column = _column(model, field.name)
    # The policies of the table behind decide.
    seen = _exists(_behind(model, field.name), column)
    return f"({column} IS NULL OR {seen})" if field.null else seen


def _exists(behind: type[Model], column: str, condition: str = "") -> str:
    more = f" AND {condition}" if condition else ""
    key = f"{_quoted(behind._meta.db_table)}.{_quoted(str(behind._meta.pk.column))}"
    return f"EXISTS (SELECT 1 FROM {_quoted(behind._meta.db_table)} WHERE {key} = {column}{more})"  # noqa: S608  # names of ours


def _behind(model: type[Model], name: str) -> type[Model]:
    behind: type[Model] = _field(model, name).remote_field.model  # type: ignore[union-attr]
    return behind


def _field(model: type[Model], name: str) -> "Field[object, object]":
    field: Field[object, object] = model._meta.pk if name == "pk" else model._meta.get_field(name)  # type: ignore[assignment]
    return field


def _column(model: type[Model], name: str) -> str:
    return f"{_quoted(model._meta.db_table)}.{_quoted(str(_field(model, name).column))}"


def _quoted(name: str) -> str:
    return f'"{name}"'
