"""The admin's front page: the health of the connections, and what needs attention."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from erp_connectors.admin.overview.charts import charts
from erp_connectors.admin.overview.lines import lines
from erp_connectors.services.status.connection_health import Health, State
from erp_connectors.services.status.overview import Overview, overview
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

# More are too many to look at; the worst come first.
SHOWN_LINES, SHOWN_CARDS = 50, 24
EVERY_SECONDS = 30
PART = "part"
STATES: dict[State, tuple[Any, str]] = {
    State.HOST_KEY_CHANGED: (_("host key changed"), "stopped"),
    State.UNREADABLE: (_("settings unreadable"), "stopped"),
    State.HELD: (_("held"), "stopped"),
    State.DISABLED_WITH_WAITING: (_("disabled"), "stopped"),
    State.NO_HOST_KEY: (_("no host key pinned"), "stopped"),
    State.TEST_FAILED: (_("the last test failed"), "warning"),
    State.RETRYING: (_("connection failing"), "warning"),
    State.ANSWERS_UNREAD: (_("sends, but can't read answers"), "warning"),
    State.UNTESTED: (_("not tested yet"), "todo"),
    State.OK: (_("works"), "ok"),
}


@dataclass(frozen=True, slots=True)
class Card:
    health: Health
    state: str
    tone: str
    url: str
    queue_url: str
    overdue_url: str


def overview_page(request: HttpRequest, context: dict[str, Any]) -> TemplateResponse:
    """``context`` is the site's. With `PART` only what changes is answered, for the script that refreshes it."""
    user = signed_in(request)
    seen = overview(user)
    shown = lines(seen, user)
    context |= {
        "overview": seen,
        "lines": shown[:SHOWN_LINES],
        "more_lines": max(len(shown) - SHOWN_LINES, 0),
        "cards": [_card(one, user) for one in seen.health[:SHOWN_CARDS]],
        "more_cards": max(len(seen.health) - SHOWN_CARDS, 0),
        "charts": charts(seen.daily),
        "names_orgs": user.is_platform_staff,
        "next_step": _next_step(seen, user),
        "every_seconds": EVERY_SECONDS,
    }
    template = "_overview" if PART in request.GET else "overview"
    return TemplateResponse(request, f"admin/erp_connectors/{template}.html", context)


def _card(health: Health, user: User) -> Card:
    state, tone = STATES[health.state]
    of_it = f"connection__id__exact={health.connection.pk}"
    exports = reverse("admin:erp_connectors_erpexport_changelist")
    return Card(
        health=health,
        state=str(state),
        tone=tone,
        url=reverse("admin:erp_connectors_erpconnection_change", args=[health.connection.pk])
        if user.can(Capability.CONNECT)
        else "",
        queue_url=f"{exports}?status__exact=PENDING&{of_it}",
        overdue_url=f"{exports}?overdue=yes&{of_it}",
    )


def _next_step(seen: Overview, user: User) -> str:
    """Return the empty state to show: the first step of a new org."""
    if any(one.state != State.DISABLED_WITH_WAITING for one in seen.health):
        return ""
    if user.is_platform_staff:
        return "orgs_connect"
    return "connect" if user.can(Capability.CONNECT) else "ask"
