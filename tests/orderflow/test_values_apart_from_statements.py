"""PostgreSQL's list of statements, which every session of our role can read, shows no value of an order or an org."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from erp_connectors.services.exports.push import push_many
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.search import search
from orderflow.row_updates import update_rows
from orderflow.tenancy.models import User
from tests import factories
from tests.plugin import SUPERUSER_URL
from tests.services.conftest import make_site, site  # noqa: F401  # fixtures

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]

SECRET = "Sesamstrasse"
Server = psycopg.Connection[Any]


@contextmanager
def another_session() -> Iterator[Server]:
    url = urlsplit(os.environ[SUPERUSER_URL])._replace(path=f"/{connection.settings_dict['NAME']}")
    with psycopg.connect(url.geturl(), autocommit=True) as server:
        yield server


def latest_statement(server: Server, pid: int, waiting_for: str | None = None) -> str:
    query = "SELECT query FROM pg_stat_activity WHERE pid = %s AND (%s::text IS NULL OR wait_event_type = %s)"
    row = server.execute(query, [pid, waiting_for, waiting_for]).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect each statement of this session as another session reads it."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    seen: list[str] = []
    with another_session() as server:

        def look(execute: Any, *statement: Any) -> Any:
            done = execute(*statement)
            seen.append(latest_statement(server, pid))
            return done

        with connection.execute_wrapper(look):
            yield seen


def test_no_statement_shows_a_value(site):  # noqa: F811
    drafts = factories.drafts(site.org, 3, lines=2)
    with watched() as seen:
        customer = factories.customer(site.org, name=f"{SECRET} GmbH")
        DraftOrderLine.objects.bulk_create(
            DraftOrderLine(
                draft_order=drafts[0], line_no=n, internal_sku=SECRET, qty=1, uom="ST", currency="EUR"
            )
            for n in range(3, 6)
        )
        for draft in drafts:
            draft.external_order_number = f"{SECRET}-{draft.pk}"
            draft.customer = customer
        update_rows(drafts, "external_order_number", "customer")
        assert User.objects.filter(email__iexact=f"{SECRET}@example.com").first() is None
        assert search(DraftOrder.objects.all(), factories.user(site.org), SECRET).count() == 3
        assert DraftOrder.objects.filter(customer=customer).update(notes=SECRET) == 3
        push_many(factories.ids(drafts), actor=None)

    assert len(seen) > 10
    assert [one for one in seen if SECRET in one or str(site.org.pk) in one] == []


def test_a_statement_that_waits_shows_no_value(site):  # noqa: F811
    customer = factories.customer(site.org, name=SECRET)
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    seen: list[str] = []
    with another_session() as holder, another_session() as observer:
        holder.execute("BEGIN")
        holder.execute("SELECT 1 FROM orders_customer WHERE id = %s FOR UPDATE", [customer.pk])

        def look() -> None:
            deadline = time.monotonic() + 20
            while not seen and time.monotonic() < deadline:
                seen.extend(filter(None, [latest_statement(observer, pid, waiting_for="Lock")]))
            holder.execute("ROLLBACK")

        looking = threading.Thread(target=look)
        looking.start()
        Customer.objects.filter(pk=customer.pk, name=SECRET).update(name="other")
        looking.join()

    (statement,) = seen
    assert "UPDATE" in statement
    assert SECRET not in statement
    assert str(customer.pk) not in statement
