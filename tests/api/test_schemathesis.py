"""Schemathesis against the whole description, with every check on, as every role: it finds nothing."""

from collections import Counter

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from hypothesis.internal.constants_ast import Constants
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from orderflow.accounts.models import Token
from tests.api.actors import ACTORS, make_unlimited_world, of_actor, target
from tests.hypothesis_profiles import examples

pytestmark = pytest.mark.deep

LIMITS = hypothesis_settings(max_examples=examples(0.02), phases=[Phase.generate])


# A request that is as described and yet a 422, and why no schema could say so.
REFUSED_FOR = {
    "POST /api/v1/connectors": "which keys a config needs depends on its mode, and what they hold on the server",
    "PATCH /api/v1/connectors/{id}": "the same",
    "POST /api/v1/connectors/dropzone-json-v1/test": "the same",
    "POST /api/v1/connectors/test-config": "the same",
    "POST /api/v1/erp-exports/{id}/mark-accepted": "control characters, and text of blanks only",
    "POST /api/v1/erp-exports/{id}/mark-refused": "the same",
    "POST /api/v1/draft-orders": "a customer that is not there, line numbers twice, control characters",
    "PATCH /api/v1/draft-orders/{id}": "the same",
    "POST /api/v1/auth/login": "control characters",
}


def more_than_a_schema_says(label):
    statuses = ["2xx", "401", "403", "404", "409", "422"]
    return {"include-name": label, "checks": {"positive_data_acceptance": {"expected-statuses": statuses}}}


@pytest.fixture
def world(db, tmp_path, settings):
    return make_unlimited_world(tmp_path, settings)


@pytest.fixture(autouse=True)
def _one_connection():
    """As Django's own test client does: an answer's end must not close what the test's transaction is in."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def _the_same_cases_whatever_ran_before(monkeypatch):
    """Hypothesis mixes in constants of the modules that happen to be loaded."""
    monkeypatch.setattr("hypothesis.internal.conjecture.providers._get_local_constants", Constants)


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.timeout(600)
def test_nothing_is_found(world, actor, record_property):
    user = of_actor(world, actor)
    headers = {"Authorization": f"Token {Token.objects.create(user)[1]}"} if user else {}
    config = schemathesis.Config.from_dict(
        {"operations": [more_than_a_schema_says(label) for label in REFUSED_FOR]}
    )
    schema = schemathesis.openapi.from_wsgi(
        "/api/v1/schema?format=json", get_wsgi_application(), config=config
    )
    run = Run(headers)

    for operation in (result.ok() for result in schema.get_all_operations()):
        route = f"{operation.method.upper()} {operation.path.removeprefix('/api/v1/')}"
        known = {"id": str(target(world, route, user))} if "{id}" in route else None
        run.try_out(route, operation.as_strategy(path_parameters=known).map(without_cursor))
        for path_parameters in unlike(operation, known):
            spoilt = operation.as_strategy(
                generation_mode=GenerationMode.NEGATIVE, path_parameters=path_parameters
            )
            run.try_out(route, spoilt)

    record_property("operations", len(run.tried))
    record_property("cases", run.tried.total())
    assert run.found == {}, "\n\n".join(f"{route}: {text}" for (route, _), text in run.found.items())


def test_no_check_is_switched_off():
    load_all_checks()
    checks = schemathesis.Config().projects.default.checks
    off = {name for name in CHECKS.get_all_names() if not getattr(checks, name).enabled}

    # A limit of time, which this machine may exceed for reasons of its own.
    assert off <= {"max_response_time"}


def without_cursor(case):
    """Only a list makes cursors; a made-up one is rightly refused (as other tests show)."""
    case.query.pop("cursor", None)
    return case


class Run:
    def __init__(self, headers):
        self.headers = headers
        self.tried: Counter[str] = Counter()
        self.found = {}

    def try_out(self, route, cases):
        def check(case):
            self.tried[route] += 1
            try:
                with transaction.atomic():
                    case.call_and_validate(headers=self.headers)
                    transaction.set_rollback(True)
            except FailureGroup as group:
                for failure in group.exceptions:
                    self.found.setdefault((route, failure.title), f"{failure}\n{case.as_curl_command()}")

        try:
            LIMITS(given(case=cases)(check))()
        except Unsatisfiable:
            self.found[route, "nothing to send"] = "no case could be made"


def unlike(operation, known):
    """What stays as it is while something else is spoilt: the id, then nothing."""
    if operation.body or operation.query:
        yield known
        if known:
            yield None
