"""Every legal move of a draft order."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class DraftStatus(models.TextChoices):
    NEW = "NEW", _("New")
    EXTRACTED = "EXTRACTED", _("Extracted")
    NEEDS_REVIEW = "NEEDS_REVIEW", _("Needs review")
    READY = "READY", _("Ready")
    REJECTED = "REJECTED", _("Rejected")
    APPROVED = "APPROVED", _("Approved")
    PUSHING = "PUSHING", _("Pushing")
    PUSHED = "PUSHED", _("Pushed")
    ERROR = "ERROR", _("Error")


_S = DraftStatus
DRAFT_MOVES: dict[DraftStatus, frozenset[DraftStatus]] = {
    _S.NEW: frozenset({_S.EXTRACTED}),
    _S.EXTRACTED: frozenset({_S.NEEDS_REVIEW, _S.READY}),
    _S.NEEDS_REVIEW: frozenset({_S.READY, _S.REJECTED}),
    _S.READY: frozenset({_S.APPROVED}),
    _S.REJECTED: frozenset(),
    # An edit takes an approval back.
    _S.APPROVED: frozenset({_S.PUSHING, _S.NEEDS_REVIEW}),
    _S.PUSHING: frozenset({_S.PUSHED, _S.ERROR}),
    _S.PUSHED: frozenset({_S.ERROR}),
    _S.ERROR: frozenset({_S.PUSHING, _S.NEEDS_REVIEW, _S.PUSHED}),
}
EDITABLE = frozenset({_S.NEW, _S.EXTRACTED, _S.NEEDS_REVIEW, _S.READY, _S.APPROVED, _S.ERROR})


class Uom(models.TextChoices):
    ST = "ST", "ST"
    M = "M", "M"
    CM = "CM", "CM"
    MM = "MM", "MM"
    KG = "KG", "KG"
    G = "G", "G"
    L = "L", "L"
    ML = "ML", "ML"
    KAR = "KAR", "KAR"
    PAL = "PAL", "PAL"
    SET = "SET", "SET"
