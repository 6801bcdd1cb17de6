"""What can be done to one export; who may and when, as a table. Answers by hand have forms of their own."""

from uuid import UUID

from django.utils.translation import gettext_lazy

from erp_connectors.admin.acts import Act, Prospect
from erp_connectors.admin.order_acts import do_retry, retry_prospect, retryable
from erp_connectors.models import ERPExport
from erp_connectors.services.situation import counting
from erp_connectors.services.timeline import exports_of
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


def _retryable(export: ERPExport) -> bool:
    """Only the export that counts: retrying an older one would mean the newer."""
    if not retryable(export.draft_order):
        return False
    stands = counting(exports_of(export.draft_order))
    return stands is not None and stands.pk == export.pk


def _retry_prospect(export: ERPExport) -> Prospect:
    return retry_prospect(export.draft_order)


def _retry(pk: UUID, actor: User, note: str) -> str:
    return do_retry(ERPExport.objects.only("draft_order").get(pk=pk).draft_order_id, actor, note)


EXPORT_ACTS = (
    Act(
        name="retry", label=gettext_lazy("Retry the push"), capability=Capability.PUSH,
        offered=_retryable, prospect=_retry_prospect, does=_retry,
    ),
)  # fmt: skip
