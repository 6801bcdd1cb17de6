"""Check that row-level security is as the setting says: for `check --deploy`, `doctor`, and after each `migrate`."""

from collections.abc import Iterator
from typing import Any

import structlog
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection, connections

from orderflow.tenancy import privileges
from orderflow.tenancy.rls import install
from orderflow.tenancy.rls.policies import undeclared

APPLY = (
    "Run: manage.py row_level_security --apply, as the tables' owner (docs/security/row-level-security.md)."
)
log = structlog.get_logger(__name__)


def is_on() -> bool:
    # Another project that installs these apps need not have the setting.
    return bool(getattr(settings, "ROW_LEVEL_SECURITY", False))


OUR_USER = "tenancy.User"


@register(Tags.models)
def user_model(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a project's own user model: roles, orgs and logins need the fields of ours."""
    if settings.AUTH_USER_MODEL == OUR_USER:
        return []
    return [
        Error(
            f"AUTH_USER_MODEL is {settings.AUTH_USER_MODEL!r}; OrderFlow works only with {OUR_USER!r}.",
            hint=f"Set AUTH_USER_MODEL = {OUR_USER!r} before the first migrate: docs/embed.md.",
            id="tenancy.E004",
        )
    ]


@register(Tags.security, deploy=True)
def row_level_security(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Silent where no database answers: others say that."""
    if connection.vendor != "postgresql":
        return []
    try:
        return [*(_on() if is_on() else _off())]
    except DatabaseError:
        return []


def after_migrate(using: str, **signal: Any) -> None:
    """Give new tables their policies and make changed ones anew; grant the program's role what it needs."""
    if connections[using].vendor != "postgresql":
        return
    if role := getattr(settings, "DATABASE_APP_ROLE", ""):
        privileges.grant(connections[using], role)
    if not is_on():
        return
    try:
        install.apply(connections[using])
    except install.NotTheOwner as refused:
        log.warning("row_level_security.not_applied", error=str(refused), to_do=APPLY)


def _on() -> Iterator[CheckMessage]:
    wrong = [one for one in install.table_protections(connection) if one.wrong]
    if wrong:
        first = f"{wrong[0].table.name}: {wrong[0].wrong[0]}"
        yield Error(
            f"ROW_LEVEL_SECURITY is true, and {len(wrong)} tables are not as it says ({first}).",
            hint=APPLY,
            id="tenancy.E001",
        )
    role = install.role(connection)
    if role.bypass:
        yield Error(
            f"No policy binds the database role {role.name}, which is or may become {', '.join(role.bypass)}.",
            hint="Let DATABASE_URL name a role that is no superuser and has no BYPASSRLS: docs/deploy.md.",
            id="tenancy.E002",
        )
    elif role.owner_of:
        yield Warning(
            f"The database role {role.name} owns tables, and could switch row-level security off.",
            hint="Let DATABASE_URL name a role that owns nothing: docs/deploy.md.",
            id="tenancy.W001",
        )
    for label in undeclared():
        yield Warning(
            f"Nobody said whose the rows of {label} are: nothing keeps orgs apart there.",
            hint="Give its queryset an org_lookup (orderflow/tenancy/querysets.py).",
            id="tenancy.W002",
        )


def _off() -> Iterator[CheckMessage]:
    hidden = [one for one in install.table_protections(connection) if one.enforced]
    if hidden:
        yield Error(
            f"The database hides the rows of {len(hidden)} tables, and ROW_LEVEL_SECURITY is not set: nothing is seen.",
            hint="Set ROW_LEVEL_SECURITY=true, or run: manage.py row_level_security --remove, as the tables' owner.",
            id="tenancy.E003",
        )
