"""Row-level security behind a real PgBouncer in transaction mode, with fewer server sessions than clients."""

# ruff: noqa: S310  # of our own gunicorn

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from orderflow.tenancy.rls.policies import CLAIM
from tests.jobs.processes import World, new_world
from tests.parts import require_program
from tests.servers.gunicorn import gunicorn
from tests.servers.pgbouncer import pgbouncer
from tests.servers.postgres import APP_ROLE, deployed_database, postgres_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the workers' tests need Linux"),
]
ORGS, ORDERS, CLIENTS, TURNS, SERVER_SESSIONS = 2, 30, 3, 40, 2
SETUP = """
import json
from django.conf import settings
from orderflow.accounts.models import Token
from orderflow.orders.models import DraftOrderLine
from orderflow.orders.states import DraftStatus
from tests import factories
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
made = []
for name, config in {configs!r}.items():
    org = factories.org(slug=name)
    factories.connection(org, config)
    buyer = factories.customer(org, name="Customer of " + name)
    orders = [
        factories.draft(org, customer=buyer, status=DraftStatus.READY, external_order_number=f"{{name}}-{{n}}")
        for n in range({orders})
    ]
    DraftOrderLine.objects.filter(draft_order__org=org).update(internal_sku=name)
    token = Token.objects.create(factories.user(org))[1]
    made.append({{"name": name, "token": token, "customer": str(buyer.pk), "orders": [str(one.pk) for one in orders]}})
print("MADE" + json.dumps(made))
"""


@dataclass
class Tenant:
    name: str
    token: str
    customer: str
    orders: list[str]
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def owns_order(self, row: dict[str, Any]) -> bool:
        return bool(row["external_order_number"].startswith(f"{self.name}-"))

    def owns_export(self, row: dict[str, Any]) -> bool:
        return row["draft_order_id"] in self.orders


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the database's URLs for the superuser, the owner, and the program's role behind the pooler."""
    require_program("pgbouncer")
    with ExitStack() as stack:
        superuser = stack.enter_context(postgres_server(tmp_path / "postgres"))
        owner, program = deployed_database(superuser)
        pooled = stack.enter_context(pgbouncer(tmp_path / "pool", program, pool_size=SERVER_SESSIONS))
        yield f"{superuser.rpartition('/')[0]}/orderflow", owner, pooled


def test_no_client_sees_rows_of_another_org_whatever_happens(
    tmp_path: Path, urls: tuple[str, str, str]
) -> None:
    superuser, owner, pooled = urls
    folder = tmp_path / "world"
    security = {"ROW_LEVEL_SECURITY": "true", "DATABASE_APP_ROLE": APP_ROLE}
    # A worker whose session was killed holds its lease until it expires.
    limits = {"WRITES_PER_MINUTE": "100000", "DELIVERY_LEASE_SECONDS": "15"}
    world = new_world(folder, DATABASE_URL=owner, **limits, **security)
    tenants = _tenants(world, folder)
    behind = replace(world, env={**world.env, "DATABASE_URL": pooled})

    with (
        behind.running("run_workers", "--workers", "2", "--tick-every", "1") as workers,
        gunicorn(behind, "--workers", "2") as port,
    ):
        threads = [
            threading.Thread(target=_ask, args=(f"http://127.0.0.1:{port}/api/v1", one, other, seed))
            for one, other in ((tenants[0], tenants[1]), (tenants[1], tenants[0]))
            for seed in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        killed = _kill_sessions(superuser, while_alive=threads)
        for thread in threads:
            thread.join()
        workers.wait_for(lambda: _waiting(superuser) == 0, "every order that was pushed has left", seconds=90)

    for tenant in tenants:
        assert tenant.wrong == []
        assert tenant.answers["200"] > CLIENTS * TURNS / 4, tenant.answers
        assert tenant.answers["422"] > CLIENTS * TURNS / 16, tenant.answers
        assert tenant.answers["500"] == 0, tenant.answers
        files = [
            json.loads(path.read_text()) for path in (folder / "dropzone" / tenant.name / "in").iterdir()
        ]
        assert len(files) == _pushed(superuser, tenant.name) > 5
        skus = {line["internal_sku"] for one in files for line in one["lines"]}
        assert {one["org_slug"] for one in files} == skus == {tenant.name}
    assert killed > 5
    assert _left_behind(pooled) == {""}


def _tenants(world: World, folder: Path) -> list[Tenant]:
    configs: dict[str, dict[str, Any]] = {}
    for name in (f"org{n}" for n in range(ORGS)):
        (folder / "dropzone" / name / "in").mkdir(parents=True)
        configs[name] = {"mode": "filesystem", "export_path": f"{folder}/dropzone/{name}/in"}
    done = world.manage("shell", "--no-imports", "-c", SETUP.format(configs=configs, orders=ORDERS))
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MADE")]
    return [Tenant(**one) for one in json.loads(line.removeprefix("MADE"))]


def _ask(api: str, mine: Tenant, other: Tenant, seed: int) -> None:
    """Read, write, fail and push. Record each answer that shows another org's rows or has an unexpected status."""
    chance = random.Random(seed)
    for turn in (n % 8 for n in range(seed, seed + TURNS)):
        own, foreign = chance.choice(mine.orders), chance.choice(other.orders)
        if turn < 2:
            _expect_rows(mine, _call(api, mine, "GET", "/draft-orders?limit=100"), mine.owns_order)
        elif turn == 2:
            text = chance.choice((other.name, mine.name, "Customer"))
            found = _call(api, mine, "GET", f"/draft-orders?search={quote(text)}&limit=100")
            _expect_rows(mine, found, mine.owns_order)
        elif turn == 3:
            _expect(mine, 404, _call(api, mine, "GET", f"/draft-orders/{foreign}"))
            _expect(mine, 404, _call(api, mine, "POST", f"/draft-orders/{foreign}/approve"))
        elif turn == 4:
            body = {"customer": other.customer, "external_order_number": "stolen"}
            _expect(mine, 422, _call(api, mine, "POST", "/draft-orders", body))
        elif turn == 5:
            body = {"customer": mine.customer, "external_order_number": f"{mine.name}-new"}
            _call(api, mine, "POST", "/draft-orders", body)
        elif turn == 6:
            _call(api, mine, "POST", f"/draft-orders/{own}/approve")
            _call(api, mine, "POST", f"/draft-orders/{own}/push")
        else:
            exports = _call(api, mine, "GET", "/erp-exports?limit=100")
            _expect_rows(mine, exports, mine.owns_export)


def _call(api: str, tenant: Tenant, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Token {tenant.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{api}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read()
    except OSError as broken:
        status, text = 0, json.dumps(str(broken)).encode()
    tenant.answers[str(status)] += 1
    return status, json.loads(text or "null")


def _expect(tenant: Tenant, wanted: int, answer: tuple[int, Any]) -> None:
    """Record an answer with another status; 503 is allowed, as the request's session may have been killed."""
    if answer[0] not in (wanted, 503):
        tenant.wrong.append(f"{wanted}: {answer}")


def _expect_rows(tenant: Tenant, answer: tuple[int, Any], is_own: Callable[[dict[str, Any]], bool]) -> None:
    _expect(tenant, 200, answer)
    if answer[0] == 200:
        tenant.wrong += [f"saw {row}" for row in answer[1]["results"] if not is_own(row)]


def _kill_sessions(superuser: str, *, while_alive: list[threading.Thread]) -> int:
    """Kill a session of the program every second; return how many."""
    killed = 0
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orderflow_app' LIMIT 1"
    with psycopg.connect(superuser, autocommit=True) as server:
        while any(thread.is_alive() for thread in while_alive):
            time.sleep(1)
            killed += len(server.execute(query).fetchall())
    return killed


def _waiting(superuser: str) -> int:
    query = "SELECT count(*) FROM erp_connectors_erpexport WHERE status = 'PENDING'"
    with psycopg.connect(superuser) as server:
        return int(server.execute(query).fetchone()[0])


def _pushed(superuser: str, name: str) -> int:
    query = "SELECT count(*) FROM erp_connectors_erpexport e JOIN tenancy_org o ON o.id = e.org_id WHERE slug = %s"
    with psycopg.connect(superuser) as server:
        return int(server.execute(query, [name]).fetchone()[0])


def _left_behind(pooled: str) -> set[str]:
    """Return what the setting is in each session of the pooler, held at the same time."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(psycopg.connect(pooled)) for _ in range(SERVER_SESSIONS)]
        query = "SELECT pg_backend_pid(), coalesce(current_setting(%s, true), '')"
        found: list[Any] = [one.execute(query, [CLAIM]).fetchone() for one in sessions]
    assert len({pid for pid, _ in found}) == SERVER_SESSIONS
    return {claim for _, claim in found}
