"""Retry pushes from a list page, one by one, and tell what became of each."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest

from erp_connectors.services.push import PushRefused, retry_push
from orderflow.moves import LostRace
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.permissions import signed_in

SHOWN_REFUSALS = 10


def retry_all(request: HttpRequest, draft_ids: Iterable[UUID]) -> None:
    refused: list[Exception] = []
    started = 0
    for draft_id in draft_ids:
        try:
            retry_push(draft_id, actor=signed_in(request))
            started += 1
        except (PushRefused, LostRace, DraftOrder.DoesNotExist) as error:
            refused.append(error)
    if started:
        messages.success(request, f"{started} orders are on their way again.")
    tell_refusals(request, refused)


def tell_refusals(request: HttpRequest, refused: Iterable[Exception]) -> None:
    texts = sorted({str(error) for error in refused})
    for text in texts[:SHOWN_REFUSALS]:
        messages.error(request, text)
    if len(texts) > SHOWN_REFUSALS:
        messages.error(request, f"{len(texts) - SHOWN_REFUSALS} more were refused for reasons like these.")
