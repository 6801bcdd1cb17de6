"""The preview of an order in the format of a connection that is not saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.utils.translation import gettext as _

from erp_connectors.admin.connections.form import ConnectionForm
from erp_connectors.config_fields import ConfigError
from erp_connectors.faults import Fault
from erp_connectors.registry import is_known
from erp_connectors.services.connections.format_preview import FormatPreview, preview_format
from orderflow.messages import text
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.models import User

ORDER = "preview_order"
OFFERED = 20


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """Either a file, the errors of fields by their labels, or why the order can't be written."""

    file: FormatPreview | None = None
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fault: str = ""


def orders_to_preview(user: User) -> list[DraftOrder]:
    """Return the newest approved orders that the user sees."""
    approved = DraftOrder.objects.visible_to(user).exclude(approved_at=None)
    return list(approved.select_related("customer").order_by("-approved_at")[:OFFERED])


def make_preview(form: ConnectionForm, user: User) -> PreviewResult:
    """Render the chosen order with the format fields of a submitted form."""
    form.full_clean()
    if errors := form.format_errors():
        return PreviewResult(errors=errors)
    if not is_known(form.connector_type):
        return PreviewResult(fault=_("This deployment does not have the connector type."))
    chosen = str(form.data.get(ORDER) or "")
    draft = _order(chosen, user) if chosen else None
    if chosen and draft is None:
        return PreviewResult(fault=_("This order does not exist or is not approved. Choose another one."))
    try:
        return PreviewResult(file=preview_format(form.connector_type, form.format_config(), draft))
    except ConfigError as error:
        return PreviewResult(errors={key: [text(problem)] for key, problem in error.problems.items()})
    except Fault as fault:
        return PreviewResult(fault=text(fault.as_message()))


def _order(chosen: str, user: User) -> DraftOrder | None:
    try:
        pk = UUID(chosen)
    except ValueError:
        return None
    return DraftOrder.objects.visible_to(user).exclude(approved_at=None).filter(pk=pk).first()
