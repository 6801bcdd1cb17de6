"""Links from notifications into the admin; empty if no address of the site is configured."""

from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from erp_connectors.notifications.notification_content import NotificationContent
from erp_connectors.outbox.events import OF_A_CIRCUIT, Event

_LISTS = {
    Event.EXPORT_FAILED: {"attention": "yes"},
    Event.EXPORT_REFUSED: {"attention": "yes"},
    Event.EXPORT_OVERDUE: {"overdue": "yes"},
}


def link_to(event: str, content: NotificationContent) -> str:
    if not settings.PUBLIC_URL or not content.first:
        return ""
    return f"{settings.PUBLIC_URL}{_path(Event(event), content)}"


def _path(event: Event, content: NotificationContent) -> str:
    one = content.first[0]
    if event in OF_A_CIRCUIT:
        return reverse("admin:erp_connectors_erpconnection_change", args=[one.connection.id])
    if content.count == 1:
        return reverse("admin:erp_connectors_erpexport_change", args=[one.export_id])
    return f"{reverse('admin:erp_connectors_erpexport_changelist')}?{urlencode(_LISTS[event])}"
