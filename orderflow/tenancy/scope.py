"""The scope of the current context: the orgs whose rows it may see, which PostgreSQL enforces by row-level security.

It is the second barrier after `for_org` (docs/security/row-level-security.md). Without a scope, no rows are visible. A
new thread has no scope: copy the context to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from orderflow.tenancy.member import Member


@dataclass(frozen=True, slots=True)
class Scope:
    """``claim``: the ids of orgs, separated by commas; ``*`` for all of them and what belongs to none."""

    claim: str


NOTHING = Scope("")
EVERYTHING = Scope("*")
_current: ContextVar[Scope] = ContextVar("org_scope", default=NOTHING)


def of_orgs(*ids: UUID) -> Scope:
    return Scope(",".join(map(str, ids)))


def of_user(user: Member) -> Scope:
    """Return the scope of a user, as `visible_to` defines it."""
    if not user.is_active:
        return NOTHING
    return of_orgs(user.org_id) if user.org_id else EVERYTHING


def current() -> Scope:
    return _current.get()


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    before = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(before)


@contextmanager
def everything() -> Iterator[None]:
    """See all orgs: for jobs, commands and logins. Also a decorator."""
    with within(EVERYTHING):
        yield


def become(scope: Scope) -> None:
    """Set the scope until the end of the innermost `within`, for users who log in during a request."""
    _current.set(scope)
