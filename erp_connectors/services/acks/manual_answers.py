"""Record an answer that the ERP gave to a user by phone or by mail. It has the effects of an ack file."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from erp_connectors.models import ERPExport, add_events
from erp_connectors.port_types import Ack
from erp_connectors.services.acks.apply import MANUAL_ANSWER, close_conflict
from erp_connectors.services.acks.decide import lock_orders, replaced_among
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.states import AckableState, Answer, Case, Decision, Stage, decide_ack
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.input_rules.keys import normal_form
from orderflow.messages import Message, Refusal, foreign
from orderflow.tenancy.models import User

MAX_NOTE = 2000
MAX_ORDER_ID = 255


class MarkRefused(Refusal):
    """The answer can't be recorded. Nothing was changed."""


class InvalidAnswer(ValueError):
    """The number or the note is not valid; ``problems`` by field."""

    def __init__(self, problems: dict[str, Message]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))


@dataclass(frozen=True, slots=True)
class ManualAnswerResult:
    """``changed`` is False if the same answer was recorded before."""

    export: ERPExport
    changed: bool


def mark_accepted(export_id: UUID, *, actor: User, erp_order_id: str, note: str) -> ManualAnswerResult:
    """Record that the ERP accepted the order.

    Raises `MarkRefused`, `InvalidAnswer`, and `ERPExport.DoesNotExist` (also for another org's export).
    """
    number = normal_form(erp_order_id)
    _require(note=_note_problem(note), erp_order_id=_number_problem(number))
    ack = Ack(accepted=True, erp_order_id=number, error_code=None, message=None, processed_at=None)
    return _mark(export_id, ack, actor=actor, note=note.strip())


def mark_refused(export_id: UUID, *, actor: User, note: str) -> ManualAnswerResult:
    """Record that the ERP refused the order, with the note as its reason. Raises as `mark_accepted` does."""
    _require(note=_note_problem(note))
    ack = Ack(accepted=False, erp_order_id=None, error_code=None, message=note.strip(), processed_at=None)
    return _mark(export_id, ack, actor=actor, note=note.strip())


def answerable(export: ERPExport) -> bool:
    """Return True if a manual answer can decide anything about the export."""
    if export.ackable_state is AckableState.NOT_STAGED or (
        export.ackable_state is AckableState.ACKED and not export.conflict_json
    ):
        return False
    return not replaced_among([export])


@transaction.atomic
def _mark(export_id: UUID, ack: Ack, *, actor: User, note: str) -> ManualAnswerResult:
    export = _locked(export_id, actor)
    decision = _decide(export, ack)
    if decision is Decision.NOTHING and not export.conflict_json:
        return ManualAnswerResult(export, changed=False)
    answer = AnswerToApply(export, ack, source=actor.email, recorded_by=actor, note=note)
    if decision is Decision.ACCEPT:
        transitions.accept([answer])
    elif decision is Decision.REFUSE:
        transitions.refuse([answer])
    _close_with_audit(answer, recorded=decision is not Decision.NOTHING)
    message = foreign(note)
    add_events([export], stage=Stage.ACK, what=MANUAL_ANSWER, message=message, actor=actor, at=timezone.now())
    return ManualAnswerResult(export, changed=True)


def _locked(export_id: UUID, actor: User) -> ERPExport:
    visible = ERPExport.objects.visible_to(actor).defer("payload")
    export: ERPExport = visible.select_for_update(of=("self",)).get(pk=export_id)
    lock_orders([export])
    return export


def _decide(export: ERPExport, ack: Ack) -> Decision:
    replaced = bool(replaced_among([export]))
    decision = decide_ack(
        Case(export.ackable_state, Answer.ACCEPTED if ack.accepted else Answer.REFUSED),
        replaced=replaced,
        same_order_id=export.erp_order_id in ("", ack.erp_order_id),
    )
    if decision is Decision.WAIT:
        raise MarkRefused(Message("answer.file_not_written"))
    if decision is Decision.CONFLICT and replaced:
        raise MarkRefused(Message("answer.export_replaced"))
    if decision is Decision.CONFLICT:
        raise MarkRefused(Message("answer.accepted_before", number=export.erp_order_id))
    return decision


def _close_with_audit(answer: AnswerToApply, *, recorded: bool) -> None:
    """Close the conflict: the user who asked the ERP has decided between its answers."""
    export, conflict = answer.export, answer.export.conflict_json
    if not conflict:
        return
    close_conflict(export)
    if not recorded:
        audit.record(
            audit.Entry(
                action=Action.EXPORT_ACKED if answer.ack.accepted else Action.EXPORT_REFUSED,
                org_id=export.org_id,
                actor=answer.recorded_by,
                entity_type="ERPExport",
                entity_id=export.pk,
                before={"conflict": conflict},
                after={"conflict": None, "note": answer.note},
            )
        )


def _require(**problems: Message | None) -> None:
    found = {field: problem for field, problem in problems.items() if problem}
    if found:
        raise InvalidAnswer(found)


def _note_problem(note: str) -> Message | None:
    readable = all(sign.isprintable() or sign in "\r\n\t" for sign in note)
    if note.strip() and len(note) <= MAX_NOTE and readable:
        return None
    return Message("answer.note_invalid", most=MAX_NOTE)


def _number_problem(number: str) -> Message | None:
    if number and len(number) <= MAX_ORDER_ID and number.isprintable():
        return None
    return Message("answer.number_invalid", most=MAX_ORDER_ID)
