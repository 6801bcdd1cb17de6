"""The text of a notification e-mail: what happened, since when, what to do. In the active language."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from erp_connectors.fault_records import doc_url
from erp_connectors.notifications.links import link_to
from erp_connectors.notifications.notification_content import (
    ConnectionRef,
    NotificationContent,
    Occurrence,
    problem_of,
)
from erp_connectors.outbox.events import OF_A_CIRCUIT, Event


@dataclass(frozen=True, slots=True)
class EmailText:
    subject: str
    body: str


_TITLES: dict[Event, Callable[[int], str]] = {
    Event.EXPORT_FAILED: lambda n: ngettext(
        "%(n)s order could not be sent", "%(n)s orders could not be sent", n
    ),
    Event.EXPORT_REFUSED: lambda n: ngettext(
        "%(n)s order was refused by the ERP", "%(n)s orders were refused by the ERP", n
    ),
    Event.EXPORT_OVERDUE: lambda n: ngettext("%(n)s answer is overdue", "%(n)s answers are overdue", n),
    Event.CIRCUIT_OPENED: lambda n: ngettext(
        "The connection is held: nothing is sent", "%(n)s connections are held: nothing is sent", n
    ),
    Event.CIRCUIT_CLOSED: lambda n: ngettext("The connection works again", "%(n)s connections work again", n),
}


def email_of(event: Event, content: NotificationContent) -> EmailText:
    title = _TITLES[event](content.count) % {"n": content.count}
    connections = {one.connection.id: one.connection for one in content.first}
    place = named(next(iter(connections.values()))) if len(connections) == 1 else _("several connections")
    parts = [
        f"{title}.",
        "\n".join(_heading(event, content, place)),
        "\n".join(_listed(event, content, several=len(connections) > 1)),
        _next_step(event, content),
        link_to(event, content),
        _farewell(),
    ]
    return EmailText(_subject(content.org, title, place), "\n\n".join(part for part in parts if part) + "\n")


def trial_email(org: str, ref: ConnectionRef | None) -> EmailText:
    place = named(ref) if ref else _("all connections")
    text = _("This is a test. Whoever reads it will be told here what happens on: %(place)s.") % {
        "place": place
    }
    return EmailText(_subject(org, _("Test of the notifications"), place), f"{text}\n\n{_farewell()}\n")


def named(ref: ConnectionRef) -> str:
    return f"{ref.name} {ref.where}".rstrip()


def _subject(org: str, title: str, place: str) -> str:
    # A line break in a name would be a header of its own.
    return " ".join(f"[OrderFlow] {org}: {title} ({place})".split())


def _heading(event: Event, content: NotificationContent, place: str) -> Iterator[str]:
    yield _("Organisation: %(org)s") % {"org": content.org}
    yield _("Connection: %(place)s") % {"place": place}
    yield _("Since: %(time)s") % {"time": _time(content.since)}
    if content.until != content.since:
        yield _("The last one: %(time)s") % {"time": _time(content.until)}


def _listed(event: Event, content: NotificationContent, *, several: bool) -> Iterator[str]:
    for one in content.first:
        if event not in OF_A_CIRCUIT:
            yield f"- {_order(one)}: {_cause(event, one)}"
        elif several or _cause(event, one):
            yield ": ".join(filter(None, [f"- {named(one.connection)}", _cause(event, one)]))
    if content.count > len(content.first):
        more = content.count - len(content.first)
        yield ngettext("- and %(n)s more", "- and %(n)s more", more) % {"n": more}


def _order(one: Occurrence) -> str:
    return f"{one.order_number} ({one.filename})" if one.order_number else one.filename


def _cause(event: Event, one: Occurrence) -> str:
    cause = problem_of(event, one).cause or one.code
    return f"{one.error_code}: {cause}" if one.error_code and one.error_code not in cause else cause


def _next_step(event: Event, content: NotificationContent) -> str:
    if event is Event.CIRCUIT_CLOSED:
        return _("There is nothing to do: what had waited is being sent.")
    problem = problem_of(event, content.first[0])
    next_step = _("What to do next: %(hint)s") % {"hint": problem.hint} if problem.hint else ""
    return "\n".join(filter(None, [next_step, doc_url(problem.code)]))


def _farewell() -> str:
    return _("OrderFlow sent this because it was set up under “Notifications”.")


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
