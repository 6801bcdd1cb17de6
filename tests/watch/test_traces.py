"""One trace from the request over push, delivery and the SFTP steps to the ERP's answer; nothing where nobody asks."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rest_framework.test import APIClient

from erp_connectors import tasks
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push, push_many
from orderflow import tracing
from orderflow.tenancy.roles import Role
from tests import factories
from tests.jobs.processes import new_world
from tests.servers.asyncssh_server import asyncssh_server
from tests.services.conftest import make_site  # noqa: F401  # a fixture
from tests.services.delivery.test_statements import accepted, answer_all

pytestmark = [pytest.mark.deep, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def spans(settings):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("tests"))
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "orderflow.traces.Middleware"]
    yield exporter.get_finished_spans
    tracing.use(None)


def names_in(spans, trace_id):
    return [span.name for span in spans() if span.context.trace_id == trace_id]


def the(spans, name):
    (found,) = [span for span in spans() if span.name == name]
    return found


def test_a_request_is_followed_to_the_erps_answer(make_site, spans):  # noqa: F811
    site = make_site()
    draft = factories.draft(site.org)
    client = APIClient()
    client.force_authenticate(factories.user(site.org, Role.OPS))

    client.post(f"/api/v1/draft-orders/{draft.pk}/push")
    tasks.deliver(str(site.connection.pk))
    answer_all(site, accepted)
    tasks.poll(str(site.connection.pk))

    http = the(spans, "HTTP POST /api/v1/draft-orders/<pk>/push")
    assert http.attributes["http.response.status_code"] == 202
    found = names_in(spans, http.context.trace_id)
    assert {"push", "deliver", "dropzone stage", "dropzone publish", "answer acked"} <= set(found)
    assert the(spans, "push").parent.span_id == http.context.span_id
    assert the(spans, "deliver").parent.span_id == the(spans, "push").context.span_id
    assert the(spans, "dropzone publish").parent.span_id == the(spans, "deliver").context.span_id
    answer = the(spans, "answer acked")
    assert answer.attributes["export_id"] == str(ERPExport.objects.get().pk)
    assert answer.links[0].context.span_id == the(spans, "poll").context.span_id


def test_orders_of_several_requests_go_in_one_delivery_that_each_trace_points_to(make_site, spans):  # noqa: F811
    site = make_site()
    for _ in range(2):
        push(factories.draft(site.org).pk, actor=None)

    tasks.deliver(str(site.connection.pk))

    pushes = {span.context.trace_id for span in spans() if span.name == "push"}
    deliver = the(spans, "deliver")
    assert deliver.parent is None
    assert {link.context.trace_id for link in deliver.links} == pushes
    own = [span for span in spans() if span.name == "delivered with others"]
    assert {span.context.trace_id for span in own} == pushes
    assert {span.links[0].context.span_id for span in own} == {deliver.context.span_id}
    assert all(span.end_time > span.start_time for span in own)


def test_a_bulk_push_is_one_trace(make_site, spans):  # noqa: F811
    site = make_site()
    push_many(factories.ids(factories.drafts(site.org, 3)), actor=None)

    tasks.deliver(str(site.connection.pk))

    assert the(spans, "deliver").parent.span_id == the(spans, "push").context.span_id


def test_the_steps_of_an_ssh_connection_are_told_apart(spans, tmp_path):
    from erp_connectors.transports.base import TransportPolicy  # noqa: PLC0415
    from erp_connectors.transports.sftp import SftpTransport  # noqa: PLC0415

    policy = TransportPolicy(sftp_loopback=True)
    with asyncssh_server(tmp_path) as server, SftpTransport(server.options(), policy):
        pass

    opened = the(spans, "dropzone open")
    steps = [span for span in spans() if span.name.startswith("sftp ")]
    assert [span.name for span in steps] == ["sftp tcp", "sftp host_key", "sftp login"]
    assert {span.parent.span_id for span in steps} == {opened.context.span_id}


def test_a_caller_that_traces_is_continued(client, spans):
    caller = f"00-{'ab' * 16}-{'cd' * 8}-01"
    client.get("/healthz", headers={"traceparent": caller})

    span = the(spans, "HTTP GET /healthz")
    assert f"{span.context.trace_id:032x}" == "ab" * 16


def test_a_caller_that_sends_nonsense_begins_a_trace(client, spans):
    client.get("/healthz", headers={"traceparent": "nonsense\u00e9"})

    assert the(spans, "HTTP GET /healthz").parent is None


def test_what_nobody_traces_costs_nothing_and_imports_nothing(make_site):  # noqa: F811
    site = make_site()
    push(factories.draft(site.org).pk, actor=None)

    assert tracing.span("a") is tracing.span("b"), "no object is made"
    assert ERPExport.objects.get().trace == ""


@pytest.mark.deep
def test_without_tracing_no_process_imports_opentelemetry(tmp_path):
    show = "import sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"

    assert new_world(tmp_path).manage("shell", "-v0", "-c", show).stdout.strip() == "[]"


class _Collector(BaseHTTPRequestHandler):
    got: list[tuple[str, bytes]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.deep
def test_with_tracing_spans_arrive_at_a_collector(tmp_path):
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    world = new_world(
        tmp_path,
        TRACING="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
    )
    act = "from orderflow import tracing\nwith tracing.span('a span of ours'):\n    pass"

    done = world.manage("shell", "-v0", "-c", act)
    server.shutdown()

    assert done.returncode == 0, done.stderr
    assert [path for path, body in _Collector.got if b"a span of ours" in body] == ["/v1/traces"]


@pytest.mark.deep
def test_tracing_without_the_extra_stops_in_one_sentence(tmp_path):
    world = new_world(tmp_path)
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('gone', name='opentelemetry')")
    env = {**world.env, "TRACING": "true", "PYTHONPATH": str(tmp_path)}

    done = type(world)(world.folder, env).manage("check")

    assert done.returncode == 1
    assert "pip install 'orderflow-erp-dropzone[tracing]'" in done.stderr
    assert "Traceback" not in done.stderr
