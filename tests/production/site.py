"""The product as docs/deploy.md installs it: production settings, gunicorn, a database role that owns nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests.jobs.processes import World, collected_static, new_world
from tests.servers.gunicorn import gunicorn
from tests.servers.postgres import APP_ROLE, deployed_database, postgres_server

PASSWORD = "correct horse battery"
_SETUP = """
import json
from tests import factories
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
made = {"staff": factories.user(None).email}
for name in ("a", "b"):
    org = factories.org(slug=name)
    order = factories.draft(org, status=DraftStatus.NEEDS_REVIEW, notes=f"of org {name}")
    config = {
        "mode": "sftp", "host": "203.0.113.9", "port": 22, "username": "erp", "password": "the-erps-own-password",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlO8dxWVZ0QHg8LnNUpcEkjbmFLTSaSy0zyDXYBmuQH",
        "export_path": "/in",
    }
    made[name] = {
        **{role.lower(): factories.user(org, role).email for role in Role},
        "org": str(org.pk), "order": str(order.pk), "customer": str(order.customer_id),
        "connection": str(factories.connection(org, config).pk),
    }
print(json.dumps(made))
"""


@dataclass
class Site:
    world: World
    port: int
    made: dict[str, Any]
    app_url: str  # the database, as the role that the program uses
    _places: Iterator[int] = field(default_factory=lambda: count(1))

    def log(self) -> str:
        return (self.world.folder / "web.log").read_text()

    def place(self) -> str:
        """Return a client address that was not used before."""
        number = next(self._places)
        return f"198.51.{number // 250}.{number % 250 + 1}"

    def send(
        self, method: str, path: str, *, place: str = "198.51.100.250", **options: Any
    ) -> requests.Response:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": place, **options.pop("headers", {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.request(method, url, headers=headers, timeout=60, allow_redirects=False, **options)

    def token(self, email: str, password: str = PASSWORD, place: str = "") -> requests.Response:
        body = {"email": email, "password": password}
        return self.send("POST", "/api/v1/auth/login", json=body, place=place or self.place())

    def api(self, email: str) -> "Program":
        answer = self.token(email)
        assert answer.status_code == 200, answer.text
        return Program(self, answer.json()["token"])

    def browser(self, email: str) -> "Browser":
        browser = Browser(self)
        assert browser.login(email).status_code == 302
        return browser

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Run ``statement`` as the role that the program has; raise psycopg.Error."""
        with psycopg.connect(self.app_url) as server:
            server.execute("SELECT set_config('orderflow.orgs', '*', true)")
            done = server.execute(statement.encode(), values or None)
            return done.fetchall() if done.description else []


@dataclass
class Program:
    site: Site
    token: str

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Token {self.token}"}
        return self.site.send(method, f"/api/v1/{path}", headers=headers, **options)


@dataclass
class Browser:
    site: Site
    cookies: dict[str, str] = field(default_factory=dict)
    place: str = ""

    def __post_init__(self) -> None:
        self.place = self.place or self.site.place()

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        # `requests` keeps secure cookies from a server without TLS.
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies, "Referer": f"https://127.0.0.1:{self.site.port}{path}"}
        answer = self.site.send(method, path, headers=headers, place=self.place, **options)
        self.cookies |= {cookie.name: cookie.value or "" for cookie in answer.cookies}
        return answer

    def post(self, path: str, **fields: Any) -> requests.Response:
        page = self("GET", path).text
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        return self("POST", path, data={"csrfmiddlewaretoken": token, **fields})

    def login(self, email: str, password: str = PASSWORD) -> requests.Response:
        return self.post("/admin/login/", username=email, password=password)


@contextmanager
def production(folder: Path) -> Iterator[Site]:
    with postgres_server(folder / "postgres") as superuser:
        owner, app = deployed_database(superuser)
        # As the owner, `migrate` grants the program's role its rights and creates the policies.
        roles = {"DATABASE_URL": owner, "DATABASE_APP_ROLE": APP_ROLE, "ROW_LEVEL_SECURITY": "true"}
        world = new_world(folder / "world", **roles)
        env = {name: value for name, value in world.env.items() if name != "DATABASE_APP_ROLE"}
        env |= {"DATABASE_URL": app, "ALLOWED_HOSTS": "127.0.0.1", "LOG_FORMAT": "json"}
        del env["ORDERFLOW_ENV"]
        world = replace(world, env={**env, "STATIC_ROOT": collected_static()})
        done = world.manage("shell", "--no-imports", "-c", _SETUP)
        assert done.returncode == 0, done.stderr
        with gunicorn(world, "--workers", "2") as port:
            yield Site(world, port, json.loads(done.stdout.splitlines()[-1]), app)
