"""Exports as JSON, out and in."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from erp_connectors.api.common.codes import FAULT_CODES, STAGES
from erp_connectors.api.common.faults import ConflictOut, FaultOut
from erp_connectors.api.common.input_fields import KeyText, NotesText, TrueOrFalse
from erp_connectors.api.common.messages import MessageFields
from erp_connectors.api.common.parsing import (
    IdField,
    KnownFieldsOnly,
)
from erp_connectors.fault_records import as_api
from erp_connectors.models import ERPExport, ERPExportEvent
from erp_connectors.services.acks.manual_answers import MAX_NOTE, MAX_ORDER_ID
from erp_connectors.services.exports.retry import MAX_EXPORTS, RetryOutcome, RetryResult
from erp_connectors.services.status.unread_answers import UnreadAnswer, Why, unread_answers
from erp_connectors.services.status.waiting_reason import reason_for_waiting


class WaitingOut(serializers.Serializer[Any]):
    code = serializers.ChoiceField(FAULT_CODES)
    message = serializers.CharField()
    hint = serializers.CharField()
    params = serializers.DictField(help_text="of the fault: path and detail")
    doc_url = serializers.CharField(allow_null=True)


class UnreadAnswerOut(MessageFields):
    message_in = "reason"

    ack_file_id = serializers.IntegerField(
        allow_null=True, help_text="null: a misnamed file, which is left alone"
    )
    name = serializers.CharField()
    why = serializers.ChoiceField([(why.value, why.value) for why in Why])
    reason = serializers.SerializerMethodField(help_text="in English; empty for a misnamed file")
    expected_name = serializers.CharField(help_text="of a misnamed file, else empty")
    since = serializers.DateTimeField()

    def get_reason(self, answer: UnreadAnswer) -> str:
        return self.english(answer)


class ExportOut(serializers.ModelSerializer[ERPExport]):
    error_json = serializers.SerializerMethodField(
        help_text="the fault or refusal of its last attempt, else null"
    )
    conflict_json = serializers.SerializerMethodField(
        help_text="an answer that contradicts the valid one, else null"
    )
    waiting_for = serializers.SerializerMethodField(help_text="why a PENDING export waits, else null")
    unread_answers = serializers.SerializerMethodField(
        help_text="files that seem to answer this export and could not be read, while no other answer came"
    )

    class Meta:
        model = ERPExport
        fields = [
            "id", "draft_order_id", "connection_id", "status", "failed_as", "filename", "export_format_version",
            "sha256", "size", "dropzone_path", "erp_order_id", "error_json", "conflict_json", "attempts",
            "next_attempt_at", "created_at", "sent_at", "overdue_at", "answered_at", "payload_removed_at",
            "events_removed_at", "waiting_for", "unread_answers",
        ]  # fmt: skip

    @extend_schema_field(FaultOut(allow_null=True))
    def get_error_json(self, export: ERPExport) -> dict[str, Any] | None:
        return as_api(export.error_json)

    @extend_schema_field(ConflictOut(allow_null=True))
    def get_conflict_json(self, export: ERPExport) -> dict[str, Any] | None:
        conflict = export.conflict_json
        return {**conflict, "error": as_api(conflict.get("error"))} if conflict else None

    @extend_schema_field(WaitingOut(allow_null=True))
    def get_waiting_for(self, export: ERPExport) -> dict[str, Any] | None:
        return reason_for_waiting(export)

    @extend_schema_field(UnreadAnswerOut(many=True))
    def get_unread_answers(self, export: ERPExport) -> list[dict[str, Any]]:
        found: Mapping[UUID, Any] | None = self.context.get("unread_answers")
        if found is None:
            found = unread_answers([export])
        return [dict(UnreadAnswerOut(answer).data) for answer in found.get(export.pk, ())]


class RefusedIn(KnownFieldsOnly, serializers.Serializer[Any]):
    note = NotesText(max_length=MAX_NOTE, help_text="who said so, and why; people read it")


class AcceptedIn(RefusedIn):
    erp_order_id = KeyText(max_length=MAX_ORDER_ID)


class EventOut(MessageFields, serializers.ModelSerializer[ERPExportEvent]):
    message_in = "message"

    stage = serializers.ChoiceField(STAGES)
    actor = serializers.CharField(
        source="actor.email", default="", help_text="the user who caused it; empty for the system"
    )
    detail = serializers.SerializerMethodField(help_text="in English; empty if `what` says it all")

    class Meta:
        model = ERPExportEvent
        fields = ["at", "stage", "attempt", "what", "actor", "detail", "code", "params"]

    def get_detail(self, event: ERPExportEvent) -> str:
        return self.english(event)


class BulkRetryIn(KnownFieldsOnly, serializers.Serializer[Any]):
    export_ids = serializers.ListField(child=IdField(), min_length=1, max_length=MAX_EXPORTS)
    dry_run = TrueOrFalse(default=False, help_text="change nothing, and say what would happen")


class RetriedOut(MessageFields):
    message_in = "why"

    export_id = serializers.UUIDField()
    outcome = serializers.ChoiceField([(outcome, outcome) for outcome in RetryOutcome])
    why = serializers.SerializerMethodField(
        help_text="in English: the effect of the retry, or why it is refused"
    )
    draft_order_id = serializers.UUIDField(allow_null=True)
    order_number = serializers.CharField()
    new_export_id = serializers.UUIDField(allow_null=True)

    def get_why(self, result: RetryResult) -> str:
        return self.english(result)


class BulkRetryOut(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField()
    results = RetriedOut(many=True)
