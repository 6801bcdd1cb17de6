"""The description of the API: complete, with an example of everything, and nothing in it asked from elsewhere."""

import json
import os
import re
from pathlib import Path

import jsonschema_rs
import pytest
from django.core.management import call_command
from drf_spectacular import validation
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from erp_connectors.api.description.texts import OPERATIONS
from erp_connectors.faults import FAULT_KINDS
from erp_connectors.states import ExportStatus, Stage
from orderflow.accounts.models import Token
from orderflow.orders.warning_codes import Code
from orderflow.tenancy.roles import Role
from tests import factories

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def schema():
    return json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))


def operations(schema):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def media(operation):
    """Each JSON body of a request or an answer, and where it stands."""
    bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for place, body in bodies.items():
        if "application/json" in body.get("content", {}):
            yield place, body["content"]["application/json"]


def test_it_is_version_3_1_and_has_no_warnings(schema):
    call_command("spectacular", "--fail-on-warn", "--file", os.devnull)
    assert schema["openapi"].startswith("3.1")


def test_it_is_as_openapi_has_it(schema):
    """As `spectacular --validate`, with a validator that takes a hundredth of the time."""
    rules = Path(validation.__file__).with_name("openapi_3_1_schema.json").read_text(encoding="utf-8")

    assert list(jsonschema_rs.validator_for(json.loads(rules)).iter_errors(schema)) == []


def test_every_request_and_answer_has_an_example_that_is_as_described(schema):
    wrong = []
    for name, operation in operations(schema):
        for place, body in media(operation):
            if place == "200" and name.endswith(("/payload", "/schema", "/schemas/{name}")):
                continue
            validator = jsonschema_rs.Draft202012Validator(
                {**body["schema"], "components": schema["components"]}
            )
            examples = [example["value"] for example in body.get("examples", {}).values()]
            if not examples or not all(validator.is_valid(value) for value in examples):
                wrong.append((name, place, [str(e) for v in examples for e in validator.iter_errors(v)]))
    assert wrong == []


def test_every_operation_says_what_it_is_how_one_gets_in_and_how_it_refuses(schema):
    for name, operation in operations(schema):
        if name.endswith("/schema"):
            continue
        refused = {code for code in operation["responses"] if code >= "400"}
        assert "500" in refused, name
        for code in refused:
            body = operation["responses"][code]["content"]["application/json"]
            assert body["schema"] == {"$ref": "#/components/schemas/Error"}, name
        assert operation["operationId"], name
        assert operation.get("description"), name
    assert set(schema["components"]["securitySchemes"]) == {"token", "cookieAuth"}


def test_an_error_is_what_the_description_calls_one(schema, db):
    answer = APIClient().get("/api/v1/draft-orders").json()

    error = {"$ref": "#/components/schemas/Error", "components": schema["components"]}
    assert jsonschema_rs.Draft202012Validator(error).is_valid(answer)
    assert not jsonschema_rs.Draft202012Validator(error).is_valid({})


def test_the_page_loads_nothing_from_elsewhere(db):
    page = APIClient().get("/api/v1/docs").content.decode()

    assert 'src="http' not in page
    assert 'href="http' not in page
    assert 'src="//' not in page


def test_it_is_served_to_everybody_and_names_every_route(db):
    served = APIClient().get("/api/v1/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()

    assert "/api/v1/draft-orders/{id}/retry-push" in served["paths"]
    client = APIClient(HTTP_AUTHORIZATION=f"Token {Token.objects.create(factories.user(factories.org()))[1]}")
    assert client.get("/api/v1/docs").status_code == 200


def test_it_is_made_once_for_all_who_ask(monkeypatch):
    first = APIClient().get("/api/v1/schema", {"format": "json"})

    def made_again(*args, **options):
        raise AssertionError("made again")

    monkeypatch.setattr(SchemaGenerator, "get_schema", made_again)
    assert APIClient().get("/api/v1/schema", {"format": "json"}).content == first.content
    assert APIClient().get("/api/v1/schema", {"format": "json", "lang": "en-x"}).status_code == 200


OPEN = {"GET /api/v1", "POST /api/v1/auth/login", "GET /api/v1/schema", "GET /api/v1/schemas/{name}"}


def test_only_what_is_open_to_all_asks_for_no_token_and_says_so(schema):
    asked = {name: operation["security"] for name, operation in operations(schema)}

    assert {name for name, security in asked.items() if security == []} == OPEN
    assert all({} not in security for security in asked.values())


def test_every_operation_has_words_of_its_own_and_no_words_are_left_over(schema):
    described = {operation["operationId"]: operation for _, operation in operations(schema)}

    assert set(described) == set(OPERATIONS)
    summaries = [operation["summary"] for operation in described.values()]
    assert len(set(summaries)) == len(summaries)
    assert [text for text in summaries if text.endswith(".") or not text] == []


def test_every_tag_is_described_and_used(schema):
    used = {tag for _, operation in operations(schema) for tag in operation["tags"]}

    assert used == {tag["name"] for tag in schema["tags"]}
    assert schema["servers"]
    assert {"license", "contact"} <= set(schema["info"])


def test_no_docstring_of_ours_describes_a_component(schema):
    described = {name for name, one in schema["components"]["schemas"].items() if "description" in one}

    # Of enumerations drf-spectacular lists the values.
    assert {name for name in described if "enum" not in schema["components"]["schemas"][name]} == set()


def test_codes_are_enumerations(schema):
    parts = schema["components"]["schemas"]

    def values(part, field):
        told = parts[part]["properties"][field]
        (ref,) = {
            one["$ref"] for one in [told, *told.get("allOf", []), *told.get("oneOf", [])] if "$ref" in one
        }
        return set(parts[ref.rpartition("/")[2]]["enum"])

    assert {"CONFLICT", "CODE_REQUIRED"} <= values("ErrorBody", "code")
    assert values("WarningOut", "code") == set(Code)
    assert values("WaitingOut", "code") == values("StepErrorOut", "code") == set(FAULT_KINDS)
    assert values("EventOut", "stage") == set(Stage)
    assert values("PushOut", "status") == set(ExportStatus)


@pytest.mark.parametrize(
    ("operation", "code", "header"),
    [
        ("POST /api/v1/draft-orders", "201", "Location"),
        ("POST /api/v1/draft-orders", "201", "Idempotency-Replayed"),
        ("POST /api/v1/draft-orders", "409", "Retry-After"),
        ("POST /api/v1/draft-orders/{id}/push", "202", "Location"),
        ("POST /api/v1/draft-orders/{id}/push", "200", "Location"),
        ("POST /api/v1/connectors", "201", "Location"),
        ("GET /api/v1/erp-exports/{id}/payload", "200", "ETag"),
        ("GET /api/v1/draft-orders", "401", "WWW-Authenticate"),
        ("GET /api/v1/draft-orders", "503", "Retry-After"),
        ("POST /api/v1/auth/login", "429", "Retry-After"),
        ("GET /api/v1/customers", "200", "X-Request-ID"),
    ],
)
def test_headers_of_answers_are_described(schema, operation, code, header):
    described = dict(operations(schema))[operation]["responses"][code]["headers"][header]

    assert described["description"]
    assert described["schema"]


def test_every_schema_is_a_json_schema_and_no_operation_has_anothers_name(schema):
    wrong = {}
    for name, one in schema["components"]["schemas"].items():
        try:
            jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **one})
        except ValueError as error:
            wrong[name] = str(error).splitlines()[0]
    ids = [operation["operationId"] for _, operation in operations(schema)]

    assert wrong == {}
    assert len(set(ids)) == len(ids)


def test_the_parameters_of_a_path_are_those_in_its_braces(schema):
    for name, operation in operations(schema):
        in_path = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", name)), name


def test_an_empty_filter_is_refused_as_described(schema, db):
    client = APIClient()
    client.force_authenticate(factories.user(factories.org(), Role.ADMIN))
    tried = 0
    for name, operation in operations(schema):
        for one in operation.get("parameters", []):
            if one["in"] == "query" and one["schema"].get("minLength") == 1 and "{" not in name:
                tried += 1
                answer = client.get(name.removeprefix("GET "), {one["name"]: ""})
                assert answer.status_code == 422, (name, one["name"])
    assert tried >= 4
