"""The description of the API: complete, with an example of everything, and nothing in it asked from elsewhere."""

import json

import jsonschema_rs
import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from orderflow.access.models import Token
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


def test_it_is_version_3_1_and_has_no_warnings():
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")
    assert SchemaGenerator().get_schema(request=None, public=True)["openapi"].startswith("3.1")


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
        assert operation["security"], name
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
