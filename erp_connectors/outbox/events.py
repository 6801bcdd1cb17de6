"""Events to notify about. The values are the types in webhooks."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Event(models.TextChoices):
    EXPORT_FAILED = "export.failed", _("An order could not be sent")
    EXPORT_REFUSED = "export.refused", _("The ERP refused an order")
    EXPORT_OVERDUE = "export.overdue", _("The ERP's answer is overdue")
    CIRCUIT_OPENED = "circuit.opened", _("A connection is held: nothing is sent")
    CIRCUIT_CLOSED = "circuit.closed", _("A held connection works again")


# A circuit's state is reported only if it differs from the last report.
OF_A_CIRCUIT = (Event.CIRCUIT_OPENED, Event.CIRCUIT_CLOSED)
# Event of a test; it can't be subscribed to.
TEST = "test"
