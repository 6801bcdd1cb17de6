"""Lines of the overview that need a user's attention: a title, the reason, what to do, and one button."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from erp_connectors.admin.overview.rules import RULES, Rule
from erp_connectors.services.status.attention import Need
from erp_connectors.services.status.overview import Overview
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


@dataclass(frozen=True, slots=True)
class Step:
    label: str
    url: str
    posts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLine:
    key: str
    urgency: str
    title: str
    why: str
    hint: str
    code: str
    waiting: str
    since: datetime | None
    where: str
    org: str
    step: Step | None


def lines(overview: Overview, user: User) -> list[AttentionLine]:
    """Return what the user can act on or must know, the most urgent first."""
    wanted = [(need, RULES[need.kind]) for need in overview.needs]
    return [
        _line(need, rule, overview, user)
        for need, rule in wanted
        if not rule.own or user.can(rule.capability)
    ]


def _line(need: Need, rule: Rule, overview: Overview, user: User) -> AttentionLine:
    org, problem = overview.orgs.get(need.org_id), need.problem
    step = _step(need, rule, user)
    return AttentionLine(
        key="-".join(
            map(
                str,
                filter(
                    None, (need.kind.name, need.connection_id, need.subscription_id, need.org_id, need.alike)
                ),
            )
        ),
        urgency=rule.urgency,
        title=rule.title(need.count),
        why=_why(need, problem.cause if problem else ""),
        hint=_hint(rule, problem.hint if problem else "", may=step is not None),
        code=problem.code if problem else "",
        waiting=_waiting(need),
        since=need.since,
        where=" · ".join(filter(None, (need.where, need.error_code))),
        org=org.name if org and user.is_platform_staff else "",
        step=step,
    )


def _why(need: Need, cause: str) -> str:
    """Return the reason; for exports that failed alike, that of one of them."""
    return (
        _("For example: %(cause)s") % {"cause": cause} if cause and need.alike and need.count > 1 else cause
    )


def _step(need: Need, rule: Rule, user: User) -> Step | None:
    if not rule.page:
        return None
    if rule.capability is not Capability.CONNECT:
        label = rule.step if rule.step and user.can(rule.capability) else _("Show")
        return Step(str(label), f"{reverse(f'admin:{rule.page}')}?{_query(need, rule, user)}")
    if not user.can(rule.capability):
        return None
    return Step(
        str(rule.step),
        reverse(f"admin:{rule.page}", args=[need.subscription_id or need.connection_id]),
        rule.posts,
    )


def _query(need: Need, rule: Rule, user: User) -> str:
    query = dict(rule.query(need))
    if need.connection_id:
        query["connection__id__exact"] = str(need.connection_id)
    elif user.is_platform_staff:
        query["org__id__exact"] = str(need.org_id)
    return urlencode(query)


def _hint(rule: Rule, of_the_fault: str, *, may: bool) -> str:
    hint = str(rule.hint) or of_the_fault
    if may or rule.capability is not Capability.CONNECT:
        return hint
    return " ".join(filter(None, (hint, _("An admin or integrator of your organisation can do this."))))


def _waiting(need: Need) -> str:
    if RULES[need.kind].capability is not Capability.CONNECT or not need.count:
        return ""
    return ngettext("%(n)s order waits.", "%(n)s orders wait.", need.count) % {"n": need.count}
