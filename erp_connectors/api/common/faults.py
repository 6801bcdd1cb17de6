"""Recorded faults in answers of the API: as data, with message and hint in English."""

from typing import Any

from rest_framework import serializers


class FaultOut(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="of docs/faults.md")
    params = serializers.DictField(
        help_text="path and detail; of a refusal error_code and message of the ERP"
    )
    message = serializers.CharField(help_text="in English; of a refusal the ERP's own words")
    hint = serializers.CharField(help_text="in English: what to do")
    doc_url = serializers.CharField(
        allow_null=True, help_text="the code's row in docs/faults.md; null without DOCS_URL"
    )
    stage = serializers.CharField()
    attempt = serializers.IntegerField()
    time = serializers.DateTimeField()
    error_code = serializers.CharField(
        required=False, allow_null=True, help_text="of a refusal: the ERP's own"
    )
    processed_at = serializers.DateTimeField(required=False, allow_null=True, help_text="of a refusal")


class ConflictOut(serializers.Serializer[Any]):
    answer = serializers.CharField(help_text="accepted or refused")
    erp_order_id = serializers.CharField(allow_null=True)
    error = FaultOut(allow_null=True, help_text="of a refusal")
    file = serializers.CharField(help_text="the ack file, or the user who recorded the answer")
    time = serializers.DateTimeField()
