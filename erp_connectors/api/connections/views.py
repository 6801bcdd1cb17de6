"""Connections: set up, change, test. Secrets go in and never come out."""

from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from erp_connectors.api.common.codes import FAULT_CODES
from erp_connectors.api.common.faults import FaultOut
from erp_connectors.api.common.idempotency import CreatedRow, locates
from erp_connectors.api.common.input_fields import TrueOrFalse
from erp_connectors.api.common.messages import MessageFields
from erp_connectors.api.common.pagination import NewestFirst
from erp_connectors.api.common.parsing import KnownFieldsOnly, SomethingIn, StrictJSON
from erp_connectors.api.common.strict import Strict, takes_body
from erp_connectors.connection_config import parse_config
from erp_connectors.fault_records import as_api, doc_url
from erp_connectors.faults import Fault, Side
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import Guarantee, GuaranteeLevel, ProbeStep
from erp_connectors.registry import DEFAULT_CONNECTOR_TYPE
from erp_connectors.services.acks.misnamed import Misnamed, MisnamedFile, misnamed_of
from erp_connectors.services.connections import connection_test, manage
from erp_connectors.services.connections.exclusive_folders import require_own_folders
from erp_connectors.services.connections.move_waiting import move_waiting_exports
from erp_connectors.states import ConnectionStatus
from orderflow.messages import english
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability

SLUG = "dropzone-json-v1"
CREATED = CreatedRow("erpconnection-detail", "id")


class MisnamedFileOut(serializers.Serializer[MisnamedFile]):
    name = serializers.CharField()
    expected_name = serializers.CharField()
    export_id = serializers.UUIDField(allow_null=True, help_text="null: the name does not say which")
    since = serializers.DateTimeField()


class MisnamedOut(serializers.Serializer[Misnamed]):
    count = serializers.IntegerField()
    more = serializers.BooleanField(help_text="there are more than `count`")
    files = MisnamedFileOut(many=True, help_text="the first of them")


class ConnectionOut(serializers.ModelSerializer[ERPConnection]):
    misnamed_answers = serializers.SerializerMethodField(
        help_text="files in the ack folder that are probably answers and are not read because of their names"
    )
    config = serializers.SerializerMethodField(help_text="secrets are masked")
    circuit_reason = serializers.SerializerMethodField(help_text="why its exports wait, else null")
    poll_error = serializers.SerializerMethodField(help_text="why the last poll failed, else null")

    class Meta:
        model = ERPConnection
        fields = [
            "id", "connector_type", "status", "config", "last_test_at", "last_test_success", "circuit_opened_at",
            "circuit_reason", "last_success_at", "last_poll_at", "poll_error", "misnamed_answers", "created_at",
            "updated_at",
        ]  # fmt: skip

    @extend_schema_field(MisnamedOut)
    def get_misnamed_answers(self, connection: ERPConnection) -> dict[str, Any]:
        return dict(MisnamedOut(misnamed_of(connection)).data)

    @extend_schema_field(FaultOut(allow_null=True))
    def get_circuit_reason(self, connection: ERPConnection) -> dict[str, Any] | None:
        return as_api(connection.circuit_reason)

    @extend_schema_field(FaultOut(allow_null=True))
    def get_poll_error(self, connection: ERPConnection) -> dict[str, Any] | None:
        return as_api(connection.poll_error)

    def get_config(self, connection: ERPConnection) -> dict[str, Any]:
        try:
            return manage.public_config(connection)
        except Fault as fault:
            return {"error": fault.message, "hint": fault.kind.hint}


CONFIG_KEYS = (
    "one flat object with the common keys, those of the transport (`mode`) and those of the connector type"
)


class NewConnection(KnownFieldsOnly, serializers.Serializer[Any]):
    connector_type = serializers.CharField(
        default=DEFAULT_CONNECTOR_TYPE, help_text="the file format, such as `DROPZONE_CSV_V1`"
    )
    config = serializers.DictField(help_text=CONFIG_KEYS)
    test_on_save = TrueOrFalse(default=False)


class ConnectionChange(SomethingIn, KnownFieldsOnly, serializers.Serializer[Any]):
    config = serializers.DictField(required=False, help_text="replaces the config; masked secrets are kept")
    status = serializers.ChoiceField(ConnectionStatus.choices, required=False)
    test_on_save = TrueOrFalse(default=False)


class UnsavedConfig(KnownFieldsOnly, serializers.Serializer[Any]):
    config = serializers.DictField(help_text=CONFIG_KEYS)


class UnsavedConnection(UnsavedConfig):
    connector_type = serializers.CharField(default=DEFAULT_CONNECTOR_TYPE, help_text="the file format")


class StepErrorOut(serializers.Serializer[Any]):
    code = serializers.ChoiceField(FAULT_CODES)
    params = serializers.DictField(help_text="of the message; a parameter may be a message")
    message = serializers.CharField()
    who_can_fix_it = serializers.ChoiceField([(side.value, side.value) for side in Side])
    hint = serializers.CharField()
    doc_url = serializers.CharField(allow_null=True)


class StepOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field named as an attribute of Field
    ok = serializers.BooleanField()
    duration_ms = serializers.IntegerField()
    found = serializers.CharField(help_text="in English")
    code = serializers.CharField(help_text="of the message in `found`, or of the error")
    params = serializers.DictField(help_text="as `code`; a parameter may be a message")
    error = StepErrorOut(allow_null=True)


class GuaranteeOut(MessageFields):
    message_in = "reason"

    level = serializers.ChoiceField([(level.value, level.value) for level in GuaranteeLevel])
    reason = serializers.SerializerMethodField(help_text="in English")

    def get_reason(self, guarantee: Guarantee) -> str:
        return self.english(guarantee)


class TestOut(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    steps = StepOut(many=True)
    guarantee = GuaranteeOut(
        allow_null=True, help_text="how often one order file may appear; null if no file could be written"
    )


class MovedOut(serializers.Serializer[Any]):
    connection_id = serializers.UUIDField(help_text="the active connection that they wait on now")
    moved = serializers.IntegerField()
    staged = serializers.IntegerField(help_text="how many stay, as a file of them was written already")


class SavedConnection(ConnectionOut):
    test = TestOut(allow_null=True, help_text="where `test_on_save` asked for it")

    class Meta(ConnectionOut.Meta):
        fields = [*ConnectionOut.Meta.fields, "test"]


class Connectors(Strict, viewsets.GenericViewSet[ERPConnection]):
    """Connections of the org to its ERP: secrets go in and are shown as ``********``."""

    queryset = ERPConnection.objects.all()
    serializer_class = ConnectionOut
    pagination_class = NewestFirst
    permission_classes = [Requires(Capability.CONNECT)]
    parser_classes = [StrictJSON]

    def get_queryset(self) -> QuerySet[ERPConnection]:
        return ERPConnection.objects.visible_to(signed_in(self.request))

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ConnectionOut(page, many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(ConnectionOut(self.get_object()).data)

    @extend_schema(request=NewConnection, responses={201: SavedConnection})
    @takes_body
    @locates(CREATED)
    def create(self, request: Request) -> Response:
        new = _valid(NewConnection, request)
        org = signed_in(request).org
        if org is None:
            raise ValidationError(
                {"org": ["Platform staff belong to no org; set connections up as its admin."]}
            )
        created = manage.create_connection(
            org, new["connector_type"], new["config"], actor=signed_in(request)
        )
        return self._saved(request, created, test=new["test_on_save"], status=201)

    @extend_schema(request=ConnectionChange, responses=SavedConnection)
    @takes_body
    def partial_update(self, request: Request, pk: str) -> Response:
        change, existing = _valid(ConnectionChange, request), self.get_object()
        config = change.get("config")
        if config is not None:
            config = manage.with_kept_secrets(existing, config)
        changed = manage.change_connection(
            existing.pk, actor=signed_in(request), config=config, status=change.get("status")
        )
        return self._saved(request, changed, test=change["test_on_save"], status=200)

    @extend_schema(request=None, responses=TestOut)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Every step in order, up to the first that fails."""
        return Response(
            _tested(connection_test.test_connection(self.get_object().pk, actor=signed_in(request)))
        )

    @extend_schema(request=None, responses=MovedOut)
    @action(detail=True, methods=["post"], url_path="move-waiting-exports")
    def move_waiting_exports(self, request: Request, pk: str) -> Response:
        """Move what waits on a disabled connection to the active one; 409 if there is none, or a worker is at it."""
        done = move_waiting_exports(self.get_object().pk, actor=signed_in(request))
        answer = {"connection_id": done.target.pk, "moved": done.moved, "staged": done.staged}
        return Response(MovedOut(answer).data)

    @extend_schema(request=UnsavedConfig, responses=TestOut)
    @action(detail=False, methods=["post"], url_path=f"{SLUG}/test")
    @takes_body
    def test_unsaved(self, request: Request) -> Response:
        """Test a config of the first connector type before it is saved."""
        return self._test_unsaved(request, DEFAULT_CONNECTOR_TYPE, _valid(UnsavedConfig, request)["config"])

    @extend_schema(request=UnsavedConnection, responses=TestOut)
    @action(detail=False, methods=["post"], url_path="test-config")
    @takes_body
    def test_config(self, request: Request) -> Response:
        """Test a config of any connector type before it is saved."""
        unsaved = _valid(UnsavedConnection, request)
        return self._test_unsaved(request, unsaved["connector_type"], unsaved["config"])

    def _test_unsaved(self, request: Request, connector_type: str, config: dict[str, Any]) -> Response:
        parsed = parse_config(connector_type, config)
        org = signed_in(request).org
        dropzone = replace(parsed, org_slug=org.slug if org else "")
        if org:
            require_own_folders(org, dropzone)
        return Response(_tested(list(connection_test.probe_steps(dropzone))))

    def _saved(self, request: Request, saved: ERPConnection, *, test: bool, status: int) -> Response:
        steps = connection_test.test_connection(saved.pk, actor=signed_in(request)) if test else None
        body = dict(ConnectionOut(ERPConnection.objects.get(pk=saved.pk)).data)
        headers = CREATED.headers(body) if status == 201 else {}
        answer = body | {"test": _tested(steps) if steps is not None else None}
        return Response(answer, status=status, headers=headers)


def _valid(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    checked = serializer(data=request.data)
    checked.is_valid(raise_exception=True)
    valid: dict[str, Any] = checked.validated_data
    return valid


def _tested(steps: "list[ProbeStep]") -> dict[str, Any]:
    guarantee = next((step.guarantee for step in steps if step.guarantee), None)
    return {
        "success": all(step.ok for step in steps),
        "steps": [_step(step) for step in steps],
        "guarantee": GuaranteeOut(guarantee).data if guarantee else None,
    }


def _step(step: ProbeStep) -> dict[str, Any]:
    fault = step.fault
    message = fault.as_message() if fault else step.found
    return {
        "name": step.name,
        "label": step.label,
        "ok": step.ok,
        "duration_ms": step.duration_ms,
        "found": english(step.found),
        **(message.as_json() if message else {"code": "", "params": {}}),
        "error": _error(fault) if fault else None,
    }


def _error(fault: Fault) -> dict[str, Any]:
    kind = fault.kind
    return {
        **fault.as_message().as_json(),
        "message": fault.message,
        "who_can_fix_it": kind.side,
        "hint": kind.hint,
        "doc_url": doc_url(fault.code),
    }
