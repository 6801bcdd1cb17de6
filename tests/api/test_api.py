from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.deadlines import mark_overdue
from erp_connectors.sftp.key_pairs import new_private_key
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.servers.asyncssh_server import Behaviour, asyncssh_server

SECRET = "sehr-geheimes-passwort"
ADM, INT, OPS, VIEW = Role.ADMIN, Role.INTEGRATOR, Role.OPS, Role.VIEWER


@pytest.fixture
def world(db, tmp_path, settings):
    """An org with a connection to a folder; ``as_role`` gives a client that is logged in with a token."""
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    made = factories.org()
    config = {"mode": "filesystem", "export_path": str(tmp_path / "in")}

    class World:
        org = made
        connection = factories.connection(made, config)
        folder = tmp_path / "in"

        @staticmethod
        def draft(**fields):
            return factories.draft(made, **fields)

        @staticmethod
        def as_role(role, of=made):
            return client_for(factories.user(of, role))

    return World


def client_for(user):
    client = APIClient()
    answer = client.post(
        "/api/v1/auth/login", {"email": user.email, "password": factories.PASSWORD}, format="json"
    )
    client.credentials(HTTP_AUTHORIZATION=f"Token {answer.data['token']}")
    return client


@pytest.fixture(autouse=True)
def _no_throttle(settings):
    settings.LOGINS_PER_MINUTE = 10_000


def error(answer):
    body = answer.json()["error"]
    assert set(body) == {"code", "message", "reason", "details", "request_id"}
    assert body["request_id"] == answer["X-Request-ID"]
    return body["code"]


def test_from_approval_to_the_dropzone(world):
    order, ops = world.draft(status=DraftStatus.READY), world.as_role(OPS)

    assert ops.post(f"/api/v1/draft-orders/{order.pk}/approve").json()["status"] == "APPROVED"
    pushed = ops.post(f"/api/v1/draft-orders/{order.pk}/push", HTTP_IDEMPOTENCY_KEY="k-1")
    deliver(world.connection.pk)

    assert pushed.status_code == 202
    assert set(pushed.json()) == {"draft_order_id", "erp_export_id", "status", "warnings"}
    export = ops.get(f"/api/v1/erp-exports/{pushed.json()['erp_export_id']}").json()
    assert export["status"] == "SENT"
    payload = ops.get(f"/api/v1/erp-exports/{export['id']}/payload")
    assert b"".join(payload.streaming_content) == (world.folder / export["filename"]).read_bytes()
    assert payload["ETag"] == f'"{export["sha256"]}"'


@pytest.mark.parametrize("key", ["k-1", None])
def test_a_repeated_push_is_answered_with_the_same_export(world, key):
    ops, order = world.as_role(OPS), world.draft()
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}

    first, second = (ops.post(f"/api/v1/draft-orders/{order.pk}/push", **headers) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["erp_export_id"] == second.json()["erp_export_id"]
    assert ERPExport.objects.count() == 1


def test_another_key_is_a_conflict(world):
    ops, order = world.as_role(OPS), world.draft()
    ops.post(f"/api/v1/draft-orders/{order.pk}/push", HTTP_IDEMPOTENCY_KEY="k-1")

    answer = ops.post(f"/api/v1/draft-orders/{order.pk}/push", HTTP_IDEMPOTENCY_KEY="k-2")

    assert (answer.status_code, error(answer)) == (409, "CONFLICT")


def test_a_retry_needs_an_order_in_error(world):
    ops = world.as_role(OPS)
    failed, approved = world.draft(status=DraftStatus.ERROR), world.draft()

    assert ops.post(f"/api/v1/draft-orders/{failed.pk}/retry-push").status_code == 202
    refused = ops.post(f"/api/v1/draft-orders/{approved.pk}/retry-push")
    assert (refused.status_code, error(refused)) == (409, "CONFLICT")


def test_an_incomplete_order_is_not_approved_and_says_what_is_missing(world):
    order = world.draft(status=DraftStatus.READY)
    order.lines.filter(line_no=2).update(internal_sku="", uom="")

    answer = world.as_role(OPS).post(f"/api/v1/draft-orders/{order.pk}/approve")

    assert (answer.status_code, error(answer)) == (422, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]["missing"] == [
        {"code": "order.in_line", "message": "line 2: unit is missing"},
        {"code": "order.in_line", "message": "line 2: SKU is missing"},
    ]


def _export(world, delivered=False):
    order = world.draft()
    world.as_role(OPS).post(f"/api/v1/draft-orders/{order.pk}/push")
    if delivered:
        deliver(world.connection.pk)
    return ERPExport.objects.get(draft_order=order)


def test_an_answer_by_phone_is_recorded_and_a_contradiction_refused(world):
    export, ops = _export(world, delivered=True), world.as_role(OPS)
    path = f"/api/v1/erp-exports/{export.pk}"
    told = {"erp_order_id": "SO-1", "note": "Frau Müller rief an"}

    first, second = (ops.post(f"{path}/mark-accepted", told, format="json") for _ in range(2))
    refused = ops.post(f"{path}/mark-refused", {"note": "doch nicht"}, format="json")

    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.json()["status"], first.json()["erp_order_id"]) == ("ACKED", "SO-1")
    assert (refused.status_code, error(refused)) == (409, "CONFLICT")
    assert ops.get(path).json()["status"] == "ACKED"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"note", "erp_order_id"}),
        ({"erp_order_id": "SO-1"}, {"note"}),
        ({"erp_order_id": "x" * 256, "note": " "}, {"note", "erp_order_id"}),
        ({"erp_order_id": "SO\u20281", "note": "x"}, {"erp_order_id"}),
    ],
)
def test_an_answer_by_phone_that_lacks_something_names_it(world, body, fields):
    export = _export(world, delivered=True)

    answer = world.as_role(OPS).post(f"/api/v1/erp-exports/{export.pk}/mark-accepted", body, format="json")

    assert (answer.status_code, error(answer)) == (422, "VALIDATION_ERROR")
    assert set(answer.json()["error"]["details"]) == fields


def test_overdue_exports_are_listed_or_left_out(world):
    world.connection.config = {**world.connection.config, "ack_path": str(world.folder), "ack_timeout": 60}
    world.connection.save()
    late, waiting = (_export(world, delivered=True) for _ in range(2))
    ERPExport.objects.filter(pk=late.pk).update(sent_at=timezone.now() - timedelta(hours=1))
    mark_overdue(timezone.now())
    viewer = world.as_role(VIEW)

    def listed(query):
        return [row["id"] for row in viewer.get(f"/api/v1/erp-exports?{query}").json()["results"]]

    assert listed("overdue=true") == [str(late.pk)]
    assert listed("overdue=false") == [str(waiting.pk)]
    assert len(listed("")) == 2


def test_lists_are_paged_and_filtered(world):
    viewer = world.as_role(VIEW)
    orders = [world.draft() for _ in range(5)]
    special = world.draft(status=DraftStatus.READY, external_order_number="SPECIAL-1")

    page = viewer.get("/api/v1/draft-orders?limit=4").json()
    rest = viewer.get(page["next"]).json()
    assert len(page["results"]) + len(rest["results"]) == len(orders) + 1
    found = [
        viewer.get(f"/api/v1/draft-orders?{q}").json()["results"] for q in ("search=special", "status=READY")
    ]
    assert [[row["id"] for row in rows] for rows in found] == [[str(special.pk)]] * 2


def test_a_list_costs_the_same_however_long_it_is(world, django_assert_max_num_queries):
    viewer = world.as_role(VIEW)
    for _ in range(20):
        world.draft()
    with django_assert_max_num_queries(6):
        viewer.get("/api/v1/draft-orders")


@pytest.mark.parametrize(
    ("body", "content_type"), [("{broken", "application/json"), ("a=1", "application/x-www-form-urlencoded")]
)
def test_a_body_that_is_not_json_is_explained(world, body, content_type):
    answer = world.as_role(ADM).post("/api/v1/connectors", body, content_type=content_type)

    assert (answer.status_code, error(answer)) == (422, "VALIDATION_ERROR")


def test_an_unknown_route_has_the_same_shape():
    answer = APIClient().get("/api/v1/nothing")

    assert (answer.status_code, error(answer)) == (404, "NOT_FOUND")


def test_a_request_id_is_taken_over():
    answer = APIClient().get("/api/v1/nothing", HTTP_X_REQUEST_ID="abc-123")

    assert answer.json()["error"]["request_id"] == "abc-123"


def test_a_wrong_password_gives_no_token(world):
    user = factories.user(world.org)

    answer = APIClient().post("/api/v1/auth/login", {"email": user.email, "password": "wrong"}, format="json")

    assert (answer.status_code, error(answer)) == (401, "AUTH_REQUIRED")


def test_a_revoked_token_is_worth_nothing(world):
    client = world.as_role(VIEW)
    assert client.post("/api/v1/auth/logout").status_code == 204

    assert client.get("/api/v1/draft-orders").status_code == 401


class TestConnectors:
    CONFIG = {
        "mode": "sftp", "host": "127.0.0.1", "port": 1, "username": "u", "password": SECRET, "export_path": "/in",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5Yc0Q0ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFrZWtl",
    }  # fmt: skip

    @pytest.fixture
    def integrator(self, db):
        return client_for(factories.user(factories.org(), INT))

    def test_a_secret_goes_in_and_never_comes_out(self, integrator):
        created = integrator.post(
            "/api/v1/connectors", {"config": self.CONFIG, "test_on_save": True}, format="json"
        )
        path = f"/api/v1/connectors/{created.json()['id']}"
        answers = [
            created,
            integrator.get("/api/v1/connectors"),
            integrator.get(path),
            integrator.post(f"{path}/test"),
        ]

        assert created.status_code == 201
        assert all(SECRET not in answer.content.decode() for answer in answers)
        assert created.json()["config"]["password"] == "********"
        assert created.json()["test"]["steps"][-1]["error"]["code"] == "CONNECTION_REFUSED"

    def test_a_masked_secret_is_kept_by_a_change(self, integrator):
        created = integrator.post("/api/v1/connectors", {"config": self.CONFIG}, format="json").json()
        path = f"/api/v1/connectors/{created['id']}"
        shown = integrator.get(path).json()["config"]

        changed = integrator.patch(
            path, {"config": {**shown, "export_path": "/out", "done_marker": True}}, format="json"
        )

        assert changed.json()["config"]["export_path"] == "/out"
        assert changed.json()["config"]["done_marker"] is True
        row = ERPConnection.objects.get(pk=changed.json()["id"])
        assert row.config["password"] == SECRET

    @pytest.mark.parametrize(
        "elsewhere",
        [{"host": "attacker.example"}, {"port": 2222}, {"port": None}, {"username": "other"}],
        ids=str,
    )
    def test_a_masked_secret_is_not_kept_for_another_server_or_user(self, integrator, elsewhere):
        created = integrator.post("/api/v1/connectors", {"config": self.CONFIG}, format="json").json()
        path, pinned = f"/api/v1/connectors/{created['id']}", {"host_key": self.CONFIG["host_key"]}
        config = {**created["config"], **elsewhere, **pinned}

        answer = integrator.patch(path, {"config": config}, format="json")

        assert (answer.status_code, error(answer)) == (422, "VALIDATION_ERROR")
        assert answer.json()["error"]["details"].keys() == {"password"}
        assert ERPConnection.objects.get().config == self.CONFIG
        config = {**config, "password": "entered again"}
        assert integrator.patch(path, {"config": config}, format="json").status_code == 200

    def test_masked_secrets_are_not_kept_for_another_jump_host_or_proxy(self, integrator):
        via = {"via": "http_proxy", "via_host": "proxy.example", "via_username": "u", "via_password": SECRET}
        config = {**self.CONFIG, **via}
        created = integrator.post("/api/v1/connectors", {"config": config}, format="json").json()
        path, pinned = f"/api/v1/connectors/{created['id']}", {"host_key": self.CONFIG["host_key"]}
        assert created["config"]["via_password"] == created["config"]["password"] != SECRET

        for elsewhere in ({"via_host": "attacker.example"}, {"via": "socks5_proxy"}):
            changed = {**created["config"], **elsewhere, **pinned}
            answer = integrator.patch(path, {"config": changed}, format="json")

            assert answer.status_code == 422
            assert answer.json()["error"]["details"].keys() == {"password", "via_password"}
        assert ERPConnection.objects.get().config == config

    def test_a_private_key_is_kept_for_another_server_because_it_is_never_sent(self, integrator):
        config = {key: value for key, value in self.CONFIG.items() if key != "password"}
        config["ssh_key"] = new_private_key()
        created = integrator.post("/api/v1/connectors", {"config": config}, format="json").json()

        changed = {**created["config"], "port": 2222}
        answer = integrator.patch(f"/api/v1/connectors/{created['id']}", {"config": changed}, format="json")

        assert answer.status_code == 200

    def test_a_wrong_config_names_its_keys(self, integrator):
        answer = integrator.post(
            "/api/v1/connectors", {"config": {**self.CONFIG, "port": 0, "hots": "x"}}, format="json"
        )

        assert (answer.status_code, error(answer)) == (422, "VALIDATION_ERROR")
        assert answer.json()["error"]["details"] == {
            "hots": [
                {
                    "code": "config.unknown_key_of_mode",
                    "message": "is neither a common key, of mode sftp nor of the connector DROPZONE_JSON_V1",
                }
            ],
            "port": [
                {
                    "code": "config.not_an_integer",
                    "message": "must be a whole number (at least 1; at most 65535)",
                }
            ],
        }

    def test_a_putty_key_is_tested_and_taken(self, integrator, tmp_path):
        saved = Path(__file__).parents[1] / "sftp" / "putty"
        for folder in ("in", "ack"):
            (tmp_path / folder).mkdir()
        behaviour = Behaviour(trusted=[(saved / "rsa.pub").read_text().strip()])
        with asyncssh_server(tmp_path, behaviour=behaviour) as server:
            config = server.config(
                password=None,
                ssh_key=(saved / "rsa-v3-phrase.ppk").read_text(),
                ssh_key_passphrase="phrase",
            )
            tested = integrator.post(
                "/api/v1/connectors/dropzone-json-v1/test", {"config": config}, format="json"
            )
            created = integrator.post(
                "/api/v1/connectors", {"config": config, "test_on_save": True}, format="json"
            )

        assert tested.json()["success"]
        assert created.json()["test"]["success"]

    def test_an_unknown_connector_type_is_refused(self, integrator):
        answer = integrator.post("/api/v1/connectors", {"connector_type": "X", "config": {}}, format="json")

        assert answer.status_code == 422


def test_the_schema_is_served_and_lists_every_route(db):
    schema = APIClient().get("/api/v1/schema?format=json").json()

    assert "/api/v1/draft-orders/{id}/retry-push" in schema["paths"]
    assert APIClient().get("/api/v1/docs").status_code == 200


def test_an_order_that_is_gone_is_a_404(world):
    order = world.draft()
    DraftOrder.objects.filter(pk=order.pk).delete()

    assert world.as_role(OPS).post(f"/api/v1/draft-orders/{order.pk}/push").status_code == 404
