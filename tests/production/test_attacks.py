"""Attacks that a review found, on production settings and PostgreSQL with row-level security."""

import gzip
import re
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.production.site import PASSWORD, Site, production

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

WRONG = "not the password"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with production(tmp_path_factory.mktemp("production")) as running:
        yield running


def refused(site: Site, statement: str, *values: Any) -> bool:
    """Return whether the program's own database role may not do this."""
    with pytest.raises(psycopg.Error) as said:
        site.sql(statement, *values)
    expected = "permission denied|must be owner|append-only|foreign key"
    return re.search(expected, str(said.value), re.IGNORECASE) is not None


def test_1_the_audit_list_answers_no_question_about_another_column(site: Site) -> None:
    integrator = site.browser(site.made["a"]["integrator"])
    asked = (
        "actor__password__gte",
        "actor__password__startswith",
        "actor_id__password__gte",
        "org__name__gte",
    )
    for parameter in asked:
        answers = {
            integrator("GET", f"/admin/audit/auditlog/?{parameter}={text}").status_code for text in "az"
        }
        assert answers == {400}, parameter


def test_2_a_stored_password_is_not_sent_to_another_server(site: Site) -> None:
    program, path = site.api(site.made["a"]["integrator"]), f"connectors/{site.made['a']['connection']}"
    shown = program("GET", path).json()["config"]
    assert shown["password"] == "********"
    for elsewhere in ({"host": "198.51.100.66"}, {"port": 2222}, {"username": "other"}):
        answer = program("PATCH", path, json={"config": {**shown, **elsewhere}})
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (422, ["password"])


def test_3_a_look_alike_address_locks_nobody_out(site: Site) -> None:
    email = site.made["a"]["viewer"]
    for look_alike in (email.replace("e", "\uff45", 1), email.replace("s", "\u017f", 1)):
        for _ in range(6):
            assert site.token(look_alike, WRONG, place="198.51.100.3").status_code in (401, 422, 429)
    assert site.token(email, place="198.51.100.4").status_code == 200


def test_4_a_row_in_the_queues_tables_runs_nothing(site: Site) -> None:
    columns = "name, func, args, schedule_type, minutes, repeats, next_run"
    values = ("x", "os.mkdir", "('/ran',)", "I", 1, -1, "2020-01-01 00:00:00")
    assert refused(
        site,
        f"INSERT INTO django_q_schedule ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)",  # noqa: S608
        *values,
    )
    columns = "id, name, func, started, stopped, success"
    task = f"INSERT INTO django_q_task ({columns}) VALUES (%s, '', '', now(), now(), true)"  # noqa: S608
    assert refused(site, task, "0" * 32)


def test_5_no_token_of_a_login_in_flight_survives_a_new_password(site: Site) -> None:
    email, new = site.made["b"]["integrator"], "another horse battery"
    browser = site.browser(email)
    tokens = [site.api(email).token]
    with ThreadPoolExecutor(6) as pool:
        logins = [pool.submit(site.token, email) for _ in range(12)]
        fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        assert browser.post("/admin/password_change/", **fields).status_code == 302
        tokens += [login.result().json().get("token") for login in logins]
    for token in filter(None, tokens):
        answer = site.send("GET", "/api/v1/draft-orders", headers={"Authorization": f"Token {token}"})
        assert answer.status_code == 401


def test_6_an_order_takes_no_customer_of_another_org(site: Site) -> None:
    order, foreign = site.made["a"]["order"], site.made["b"]["customer"]
    for who in (site.made["staff"], site.made["a"]["ops"]):
        answer = site.api(who)("PATCH", f"draft-orders/{order}", json={"customer": foreign})
        assert answer.status_code in (403, 404, 422), answer.text
    assert refused(site, "UPDATE orders_draftorder SET customer_id = %s WHERE id = %s", foreign, order)


def test_7_the_audit_log_keeps_its_entries_and_each_is_a_log_line(site: Site) -> None:
    assert refused(site, "UPDATE audit_auditlog SET action = 'X'")
    assert refused(site, "DELETE FROM audit_auditlog")
    assert refused(site, "TRUNCATE audit_auditlog CASCADE")
    assert refused(site, "ALTER TABLE audit_auditlog DISABLE TRIGGER USER")
    site.token(site.made["a"]["viewer"])
    in_table = {
        str(row[0]).replace("-", "")
        for row in site.sql("SELECT id FROM audit_auditlog WHERE action LIKE '%LOGIN%'")
    }
    in_log = {found.replace("-", "") for found in re.findall(r'"id": "([0-9a-f-]{36})"', site.log())}
    assert in_table
    assert in_table <= in_log


def test_8_slow_clients_do_not_stop_the_others(site: Site) -> None:
    begun = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https\r\nContent-Length: 50\r\n"
    with ExitStack() as stack:
        links = []
        for sent in (begun, begun + b"\r\n", begun + b"\r\n{"):
            for _ in range(20):
                link = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
                link.sendall(sent)
                links.append(link)
        assert site.send("GET", "/admin/login/").status_code == 200
        # None has been ended to make place for it.
        assert select.select(links, [], [], 0)[0] == []
        link.settimeout(30)
        assert link.recv(100).startswith(b"HTTP/1.1 408")


METADATA = (
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "64:ff9b::a9fe:a9fe",
    "2852039166",
    "168.63.129.16",
    "192.0.0.192",
)


@pytest.mark.parametrize("host", METADATA)
def test_9_no_connection_leads_to_a_clouds_credentials(site: Site, host: str) -> None:
    program = site.api(site.made["a"]["integrator"])
    shown = program("GET", f"connectors/{site.made['a']['connection']}").json()["config"]
    config = {**shown, "host": host.strip("[]"), "password": "entered again"}
    tested = program("POST", "connectors/dropzone-json-v1/test", json={"config": config}).json()
    assert tested["success"] is False, tested
    assert tested["steps"][-1]["error"]["code"] == "HOST_NOT_ALLOWED"


def test_9_the_archive_and_the_mail_server_lead_there_neither(site: Site) -> None:
    world = site.world
    for name, value in {
        "S3_ENDPOINT_URL": "http://169.254.169.254",
        "EMAIL_URL": "smtp://169.254.169.254",
    }.items():
        done = replace(world, env={**world.env, name: value, "S3_BUCKET": "b"}).manage("check")
        assert done.returncode != 0
        assert "erp_connectors.E006" in done.stderr


def test_10_guesses_on_the_own_password_page_are_locked_and_recorded(site: Site) -> None:
    browser = site.browser(site.made["b"]["ops"])
    wrong = {
        "old_password": WRONG,
        "new_password1": "a-new-horse-battery",
        "new_password2": "a-new-horse-battery",
    }
    answers = [browser.post("/admin/password_change/", **wrong).status_code for _ in range(6)]
    assert answers == [200, 200, 200, 200, 429, 429]


def test_10_a_locked_login_does_not_fill_the_audit_log(site: Site) -> None:
    query = "SELECT count(*) FROM audit_auditlog WHERE action LIKE '%LOGIN%'"
    place, email = site.place(), site.made["b"]["viewer"]
    before = site.sql(query)[0][0]
    for _ in range(30):
        site.token(email, WRONG, place=place)
    assert site.sql(query)[0][0] - before <= 7


def test_10_statements_of_other_sessions_show_no_value(site: Site) -> None:
    mark = "Sesamstrasse"
    program = site.api(site.made["b"]["ops"])
    for _ in range(10):
        program("GET", f"draft-orders?search={mark}")
        program("PATCH", f"draft-orders/{site.made['b']['order']}", json={"notes": mark})
        shown = " ".join(row[0] or "" for row in site.sql("SELECT query FROM pg_stat_activity"))
        assert mark not in shown
        assert site.made["b"]["org"] not in shown


def test_11_what_is_large_is_refused_and_what_is_public_is_throttled(site: Site) -> None:
    bomb = site.world.folder / "bomb.jsonl.gz"
    bomb.write_bytes(
        gzip.compress(b" " * 1_000_000) * 600
    )  # of parts that are alike: compressing 600 MB takes long
    who = site.made["a"]["admin"]
    done = site.world.manage("import_orders", str(bomb), "--org", "a", "--as", who)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "8 MB at most" in done.stderr

    words = "+".join("a" * 1200)
    assert site.api(who)("GET", f"draft-orders?search={words}").status_code == 422
    assert site.browser(who)("GET", f"/admin/orders/draftorder/?q={words}").status_code == 422

    began = time.monotonic()
    answers = [site.send("GET", "/api/v1/schema", place="198.51.100.11").status_code for _ in range(300)]
    assert set(answers) == {200, 429}
    assert time.monotonic() - began < 30


def test_requests_of_two_orgs_in_the_threads_of_one_process_see_their_own_only(site: Site) -> None:
    programs = {name: site.api(site.made[name]["admin"]) for name in "ab"}

    def orders(name: str) -> tuple[str, set[str]]:
        return name, {order["id"] for order in programs[name]("GET", "draft-orders").json()["results"]}

    def languages(code: str) -> tuple[str, bool]:
        page = site.send("GET", "/admin/login/", headers={"Accept-Language": code}).text
        return code, "Passwort" in page

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(orders, "ab" * 60))
        shown = list(pool.map(languages, ["de", "en"] * 30))
    assert {(name, *notes) for name, notes in seen} == {(name, site.made[name]["order"]) for name in "ab"}
    assert set(shown) == {("de", True), ("en", False)}


def test_12_a_swapped_secret_opens_nothing(site: Site) -> None:
    theirs, mine = site.made["b"]["connection"], site.made["a"]["connection"]
    ((before,),) = site.sql("SELECT config FROM erp_connectors_erpconnection WHERE id = %s", mine)
    ((other,),) = site.sql("SELECT config FROM erp_connectors_erpconnection WHERE id = %s", theirs)
    change = "UPDATE erp_connectors_erpconnection SET config = %s WHERE id = %s"
    site.sql(change, other, mine)
    try:
        answer = site.api(site.made["a"]["integrator"])("GET", f"connectors/{site.made['a']['connection']}")
        assert "the-erps-own-password" not in answer.text
        assert answer.json()["config"].keys() == {"error", "hint"}
    finally:
        site.sql(change, before, mine)
