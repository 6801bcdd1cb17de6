"""Texts and buttons of the overview for each kind of need, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from erp_connectors.admin.common.linked_filters import Delayed, ErpNumberDoubtful, StrayFiles, Unresolved
from erp_connectors.services.status.attention import Need, NeedKind
from erp_connectors.states import AckFileStatus
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Capability


class Urgency(StrEnum):
    STOPPED = "stopped"
    WARNING = "warning"
    TODO = "todo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``step`` is what to press, where ``capability`` allows it; ``page`` is a connection's page, else a list's.

    ``posts``: it asks a server, so a link can't do it. ``own``: nobody else needs to see it. ``hint`` stands in for
    the fault's own.
    """

    urgency: Urgency
    title: Callable[[int], str]
    step: object = ""
    capability: Capability = Capability.READ
    page: str = ""
    query: Callable[[Need], Mapping[str, str]] = field(default=lambda need: {})
    posts: bool = False
    own: bool = False
    hint: object = ""


_CHANGE, _TEST = "erp_connectors_erpconnection_change", "erp_connection_test"
_HOST_KEY = "erp_connection_host_key"
_EXPORTS = "erp_connectors_erpexport_changelist"
_FILES = "erp_connectors_ackfile_changelist"
_ORDERS = "orders_draftorder_changelist"
_RETRY, _OPEN, _TRY = _("Show and retry"), _("Open the connection"), _("Test connection")


def _setting_up(
    title: object, step: object, page: str, *, urgency: Urgency, posts: bool = False, hint: object = ""
) -> Rule:
    return Rule(
        urgency=urgency,
        title=lambda n: str(title),
        step=step,
        page=page,
        posts=posts,
        capability=Capability.CONNECT,
        hint=hint,
    )


def _counted(singular: str, plural: str) -> Callable[[int], str]:
    return lambda n: ngettext(singular, plural, n) % {"n": n}


def _failure(title: Callable[[int], str]) -> Rule:
    def alike(need: Need) -> Mapping[str, str]:
        return {Unresolved.parameter_name: need.alike}

    return Rule(
        urgency=Urgency.WARNING,
        title=title,
        step=_RETRY,
        capability=Capability.PUSH,
        page=_EXPORTS,
        query=alike,
    )


def _stray(status: AckFileStatus, title: Callable[[int], str], hint: object) -> Rule:
    return Rule(
        urgency=Urgency.WARNING,
        title=title,
        page=_FILES,
        query=lambda need: {StrayFiles.parameter_name: status},
        hint=hint,
    )


def _order(status: DraftStatus, title: Callable[[int], str], step: object, capability: Capability) -> Rule:
    return Rule(
        urgency=Urgency.TODO,
        title=title,
        step=step,
        capability=capability,
        page=_ORDERS,
        query=lambda need: {"status__exact": status},
        own=True,
    )


RULES: dict[NeedKind, Rule] = {
    NeedKind.WORKERS_SILENT: Rule(
        urgency=Urgency.STOPPED,
        title=lambda n: str(_("No worker is running: nothing is sent and no answer is read")),
        hint=_("Start the workers (manage.py run_workers), or tell the operator of OrderFlow."),
    ),
    NeedKind.HOST_KEY_CHANGED: _setting_up(
        _("The server's host key has changed: nothing is sent until it is accepted or rejected"),
        _("Compare old and new key"),
        _HOST_KEY,
        urgency=Urgency.STOPPED,
        posts=True,
    ),
    NeedKind.UNREADABLE: _setting_up(
        _("The connection's settings can't be read"), _OPEN, _CHANGE, urgency=Urgency.STOPPED
    ),
    NeedKind.HELD: _setting_up(
        _("The connection is held: nothing is sent until it works again"),
        _TRY,
        _TEST,
        urgency=Urgency.STOPPED,
    ),
    NeedKind.DISABLED_WITH_WAITING: _setting_up(
        _("Orders wait on a disabled connection"), _OPEN, _CHANGE, urgency=Urgency.STOPPED
    ),
    NeedKind.NO_HOST_KEY: _setting_up(
        _("The server's host key is not pinned yet: nothing is sent"),
        _("Fetch host key"),
        _HOST_KEY,
        urgency=Urgency.STOPPED,
        posts=True,
    ),
    NeedKind.OUTCOME_UNKNOWN: _failure(
        _counted(
            "%(n)s order has an unknown outcome: the ERP may have it",
            "%(n)s orders have an unknown outcome: the ERP may have them",
        )
    ),
    NeedKind.CONTRADICTED: Rule(
        urgency=Urgency.WARNING,
        title=_counted("%(n)s order has contradicting answers", "%(n)s orders have contradicting answers"),
        page=_EXPORTS,
        query=lambda need: {"conflict_json__isnull": "0"},
        hint=_("Ask the ERP team which answer is correct."),
    ),
    NeedKind.FAILED: _failure(_counted("%(n)s order could not be sent", "%(n)s orders could not be sent")),
    NeedKind.DELAYED: Rule(
        urgency=Urgency.WARNING,
        title=_counted(
            "%(n)s order is delayed: each attempt fails",
            "%(n)s orders are delayed: each attempt fails",
        ),
        page=_EXPORTS,
        query=lambda need: {Delayed.parameter_name: need.code or "all"},
    ),
    NeedKind.REFUSED: _failure(
        _counted("%(n)s order was refused by the ERP", "%(n)s orders were refused by the ERP")
    ),
    NeedKind.OVERDUE: Rule(
        urgency=Urgency.WARNING,
        title=_counted("%(n)s answer is overdue", "%(n)s answers are overdue"),
        page=_EXPORTS,
        query=lambda need: {"overdue": "yes"},
        hint=_(
            "Ask the ERP team whether it has the orders; then record what they say on each export's page."
        ),
    ),
    NeedKind.ANSWERS_UNREAD: _setting_up(
        _("The ERP's answers can't all be read"), _TRY, _TEST, urgency=Urgency.WARNING
    ),
    NeedKind.MALFORMED: _stray(
        AckFileStatus.MALFORMED,
        _counted("%(n)s ack file is malformed", "%(n)s ack files are malformed"),
        _(
            "Tell the ERP team what is wrong: the folder error/ has a file with the reason beside each ack file."
        ),
    ),
    NeedKind.MISNAMED: Rule(
        urgency=Urgency.WARNING,
        title=_counted(
            "%(n)s file in the ack folder is not read because of its name",
            "%(n)s files in the ack folder are not read because of their names",
        ),
        hint=_(
            "Ask the ERP team to rename them and to use such names from now on. The next poll then reads them."
        ),
    ),
    NeedKind.ERP_NUMBER_DOUBTFUL: Rule(
        urgency=Urgency.TODO,
        title=_counted("%(n)s order has a doubtful ERP number", "%(n)s orders have a doubtful ERP number"),
        page=_ORDERS,
        query=lambda need: {ErpNumberDoubtful.parameter_name: "yes"},
        hint=_(
            "The ERP gave one number to several orders, or a placeholder such as N/A. "
            "Ask the ERP team for the real numbers."
        ),
    ),
    NeedKind.UNMATCHED: _stray(
        AckFileStatus.UNMATCHED,
        _counted("%(n)s ack file matches no export", "%(n)s ack files match no export"),
        _(
            "Ask the ERP team which orders these answer. The name of an ack file must contain the name of its export."
        ),
    ),
    NeedKind.TEST_FAILED: _setting_up(
        _("The last connection test failed"), _TRY, _TEST, urgency=Urgency.WARNING
    ),
    NeedKind.RUNS_OUT: _setting_up(
        _("A key or password expires soon"),
        _OPEN,
        _CHANGE,
        urgency=Urgency.WARNING,
        hint=_("Agree with the ERP team on the change; the connection takes the new one beside the old."),
    ),
    NeedKind.PLAN_OVERDUE: _setting_up(
        _("The planned change of the server's host key did not happen"),
        _OPEN,
        _CHANGE,
        urgency=Urgency.WARNING,
        hint=_("Ask the ERP team. Then enter the new date, or remove the announced key."),
    ),
    NeedKind.WEAK: _setting_up(
        _("The connection allows outdated encryption: orders could be read on their way"),
        _OPEN,
        _CHANGE,
        urgency=Urgency.TODO,
        hint=_("Ask the ERP team for a newer server; then switch it off."),
    ),
    NeedKind.UNTESTED: _setting_up(_("The connection was never tested"), _TRY, _TEST, urgency=Urgency.TODO),
    NeedKind.NOT_NOTIFIED: Rule(
        urgency=Urgency.WARNING,
        title=lambda n: str(_("Notifications can't be delivered")),
        step=_("Open the notification"),
        page="notify_subscription_change",
        capability=Capability.CONNECT,
        own=True,
    ),
    NeedKind.TO_PUSH: _order(
        DraftStatus.APPROVED,
        _counted("%(n)s approved order is not pushed yet", "%(n)s approved orders are not pushed yet"),
        _("Show and push"),
        Capability.PUSH,
    ),
    NeedKind.TO_APPROVE: _order(
        DraftStatus.READY,
        _counted("%(n)s order waits for approval", "%(n)s orders wait for approval"),
        _("Show and approve"),
        Capability.APPROVE,
    ),
    NeedKind.TO_REVIEW: _order(
        DraftStatus.NEEDS_REVIEW,
        _counted("%(n)s order needs review", "%(n)s orders need review"),
        _("Review"),
        Capability.APPROVE,
    ),
}
