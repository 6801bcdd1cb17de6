"""The claim goes with each transaction: past rollbacks, lost connections and cursors that stay open, and no further."""

import os
import threading
from contextlib import nullcontext
from contextvars import copy_context
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule
from psycopg.pq import Trace, TransactionStatus

from orderflow import jobs
from orderflow.accounts.models import Token
from orderflow.orders.models import Customer
from orderflow.tenancy import scope
from orderflow.tenancy.models import Org
from orderflow.tenancy.rls.policies import CLAIM
from tests import databases, factories
from tests.plugin import SUPERUSER_URL
from tests.tenancy.conftest import at_work_as, put_up

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db]


class Undone(Exception):
    pass


@pytest.fixture(scope="module")
def _world(django_db_setup, django_db_blocker):
    """Once for all of these tests, which only read."""
    with django_db_blocker.unblock(), put_up() as app:
        try:
            made = factories.org(), factories.org()
            for org in made:
                factories.customer(org)
            yield app, made
        finally:
            databases.empty(connections["default"])


@pytest.fixture(params=[False, True], ids=["client binding", "server binding"])
def wall(db, _world, request):
    with at_work_as(_world[0], server_side_binding=request.param) as walled:
        yield walled


@pytest.fixture
def orgs(wall, _world):
    return _world[1]


def seen():
    return {customer.org_id for customer in Customer.objects.all()}


def told():
    """What the open transaction was told, or else the session, asked past the engine."""
    return connection.connection.execute("SELECT current_setting(%s, true)", [CLAIM]).fetchone()[0] or ""


def test_nobody_said_anything_and_nothing_is_seen(orgs):
    assert scope.current() is scope.NOTHING
    assert seen() == set()
    assert not Org.objects.exists()


def test_each_scope_sees_its_own_and_the_one_around_it_comes_back(orgs):
    ours, theirs = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        assert seen() == {ours.pk}
        with scope.within(scope.of_orgs(theirs.pk)):
            assert seen() == {theirs.pk}
        with scope.everything():
            assert seen() == {ours.pk, theirs.pk}
        assert seen() == {ours.pk}
    assert seen() == set()


def test_an_error_ends_a_scope_too(orgs):
    with pytest.raises(Undone), scope.everything():
        seen()
        raise Undone

    assert seen() == set()


def test_the_session_is_told_nothing(orgs):
    ours, _ = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        assert seen() == {ours.pk}
        assert told() == ""
        with transaction.atomic():
            assert seen() == {ours.pk}
            assert told() == str(ours.pk)
        assert told() == ""
        with pytest.raises(Undone), transaction.atomic():
            assert seen() == {ours.pk}
            raise Undone
        assert told() == ""
        assert seen() == {ours.pk}


def test_a_transaction_is_told_that_began_past_the_engine(orgs):
    """As `orderflow.clock` asks the server: psycopg begins the transaction with that statement."""
    ours, _ = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        for _ in range(2):
            with transaction.atomic():
                connection.connection.execute("SELECT clock_timestamp()")
                assert seen() == {ours.pk}


def test_a_scope_that_ends_within_a_transaction_ends_there(orgs):
    ours, _ = orgs
    with transaction.atomic():
        with scope.within(scope.of_orgs(ours.pk)):
            assert seen() == {ours.pk}
        assert seen() == set()
        assert told() == ""


def test_the_claim_is_told_again_after_a_savepoint_was_rolled_back(orgs):
    ours, theirs = orgs
    with transaction.atomic(), scope.within(scope.of_orgs(theirs.pk)):
        seen()
        with pytest.raises(Undone), transaction.atomic(), scope.within(scope.of_orgs(ours.pk)):
            assert seen() == {ours.pk}
            raise Undone
        with scope.within(scope.of_orgs(ours.pk)):
            assert told() == str(theirs.pk)
            assert seen() == {ours.pk}
        assert seen() == {theirs.pk}


def test_and_after_a_savepoint_that_was_the_first_statement(orgs):
    ours, _ = orgs
    with transaction.atomic(), scope.within(scope.of_orgs(ours.pk)):
        with pytest.raises(Undone), transaction.atomic():
            assert seen() == {ours.pk}
            raise Undone
        assert seen() == {ours.pk}


def test_and_where_somebody_was_found_out_within_it(orgs):
    """As a token is, in the middle of a request that is one transaction: the scope stays, what was told does not."""
    ours, theirs = orgs
    with transaction.atomic(), scope.within(scope.of_orgs(theirs.pk)):
        seen()
        with pytest.raises(Undone), transaction.atomic():
            scope.become(scope.of_orgs(ours.pk))
            assert seen() == {ours.pk}
            raise Undone
        assert seen() == {ours.pk}


@pytest.mark.parametrize("around", [False, True])
def test_a_scope_that_ends_within_a_failed_statement_gets_in_nobodys_way(orgs, around):
    ours, theirs = orgs
    with scope.within(scope.of_orgs(ours.pk)):

        def fail():
            with transaction.atomic(), scope.within(scope.of_orgs(theirs.pk)), connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")

        if around:
            with transaction.atomic():
                with pytest.raises(DatabaseError):
                    fail()
                assert seen() == {ours.pk}
        else:
            with pytest.raises(DatabaseError):
                fail()
        assert seen() == {ours.pk}


def test_a_failed_transaction_that_is_committed_is_known_to_be_none(orgs):
    ours, theirs = orgs
    with scope.within(scope.of_orgs(theirs.pk)):
        seen()
    connection.set_autocommit(False)
    try:
        with scope.within(scope.of_orgs(ours.pk)):
            seen()
            with pytest.raises(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
            connection.commit()
            assert seen() == {ours.pk}
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_a_lost_connection_is_told_anew(orgs):
    ours, _ = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        assert seen() == {ours.pk}
        connection.close()
        assert seen() == {ours.pk}


def test_a_connection_that_the_server_cut_is_told_anew(orgs, wall):
    ours, _ = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        seen()
        wall.connection.close()
        with pytest.raises(DatabaseError):
            seen()
        wall.close_if_unusable_or_obsolete()
        assert seen() == {ours.pk}


@pytest.mark.parametrize("at", ["commit", "statement"])
def test_a_session_that_ends_before_its_answer_is_a_lost_connection(orgs, wall, monkeypatch, at):
    """psycopg raises an error of its own if the closing message arrives as a second result."""

    def two_results(*arguments, **options):
        raw.close()
        raise psycopg.InternalError("received 2 results from command")

    with pytest.raises(OperationalError, match="lost"), transaction.atomic(), monkeypatch.context() as patch:
        seen()
        raw = wall.connection
        if at == "commit":
            monkeypatch.setattr(raw, "commit", two_results)
        else:
            patch.setattr(type(raw.cursor()), "execute", two_results)
            seen()
    wall.close()

    assert seen() == set()


def test_a_cursor_that_was_opened_before_asks_as_whoever_uses_it(orgs):
    ours, theirs = orgs
    statement = "SELECT org_id FROM orders_customer"
    with scope.within(scope.of_orgs(theirs.pk)), connection.cursor() as cursor:
        cursor.execute(statement)
        with scope.within(scope.of_orgs(ours.pk)):
            cursor.execute(statement)
            assert cursor.fetchall() == [(ours.pk,)]


def test_what_is_copied_out_is_of_who_asks(orgs):
    ours, theirs = orgs
    with scope.within(scope.of_orgs(theirs.pk)):
        seen()
    copy = "COPY (SELECT org_id FROM orders_customer) TO STDOUT"
    with scope.within(scope.of_orgs(ours.pk)), connection.cursor() as cursor, cursor.copy(copy) as copied:
        assert [*copied.rows()] == [(str(ours.pk),)]


def test_rows_that_are_read_bit_by_bit_are_of_who_asked(orgs):
    ours, _ = orgs
    with transaction.atomic(), scope.everything():
        rows = Customer.objects.iterator(chunk_size=1)
        first = next(rows)
        with scope.within(scope.of_orgs(ours.pk)):
            Org.objects.exists()
            assert {first.org_id, *(row.org_id for row in rows)} == {org.pk for org in orgs}


def test_a_transaction_is_told_once_however_many_statements_follow(orgs, wall):
    ours, _ = orgs
    told_times = count_tellings(wall)
    with scope.within(scope.of_orgs(ours.pk)), CaptureQueriesContext(connection) as asked:
        with transaction.atomic():
            for _ in range(5):
                seen()
        assert (len([one for one in asked if "SELECT" in one["sql"]]), told_times()) == (5, 1)
        seen()
        seen()
    assert told_times() == 3


def count_tellings(wall):
    seen()
    said, execute = [], wall.connection.execute

    def counting(*statement, **options):
        said.append(statement)
        return execute(*statement, **options)

    wall.connection.execute = counting
    return lambda: len(said)


@pytest.mark.parametrize(("atomic", "trips"), [(False, 1), (True, 2)])
def test_a_claim_costs_no_round_trip(orgs, wall, tmp_path, atomic, trips):
    """A transaction has one for its BEGIN, with a claim or without. F: what we send; B: what comes back."""
    ours, _ = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        seen()
        pgconn = wall.connection.pgconn
        with (tmp_path / "trace").open("w+b") as file, transaction.atomic() if atomic else nullcontext():
            pgconn.trace(file.fileno())
            pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
            seen()
            pgconn.untrace()
    directions = "".join(line[0] for line in (tmp_path / "trace").read_text().splitlines())

    assert directions.count("FB") == trips, directions


def test_every_kind_of_statement_works_in_autocommit(orgs):
    ours, _ = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        made = factories.customer(ours, name="Made")
        token = Token.objects.create(factories.user(ours))[0]  # its key is made by the database
        assert token.pk
        assert Customer.objects.filter(pk=made.pk).update(name="Changed") == 1
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orders_customer SET name = 'Again' WHERE id = %s RETURNING name", [made.pk]
            )
            assert (cursor.rowcount, cursor.fetchone(), cursor.description[0].name) == (1, ("Again",), "name")
            cursor.execute("SELECT n, '%' FROM generate_series(1, 3) n")
            assert [*cursor] == [(1, "%"), (2, "%"), (3, "%")]
            cursor.execute("SELECT 100 % 7")
            assert cursor.fetchone() == (2,)
            cursor.executemany(
                "UPDATE orders_customer SET name = %s WHERE id = %s", [("A", made.pk), ("B", made.pk)]
            )
            cursor.execute("SELECT name FROM orders_customer WHERE name = 'B'; SELECT 2")
            assert cursor.fetchall() == [("B",)]
            assert cursor.nextset()
            assert cursor.fetchall() == [(2,)]
            cursor.execute(
                "UPDATE orders_customer SET name = 'several'; UPDATE orders_customer SET name = 'C';"
            )
        assert Customer.objects.get(pk=made.pk).name == "C"
        assert {row.org_id for row in Customer.objects.iterator(chunk_size=1)} == {ours.pk}
        made.delete()
        assert told() == ""


@pytest.mark.parametrize("around", [False, True])
def test_errors_are_djangos_and_the_connection_goes_on(orgs, around):
    ours, theirs = orgs

    def fails(kind, statement, *parameters, all_seen=False):
        with (
            pytest.raises(kind) as failed,
            transaction.atomic() if around else nullcontext(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, parameters)
        assert type(failed.value) is kind
        assert seen() == ({ours.pk, theirs.pk} if all_seen else {ours.pk})

    with scope.within(scope.of_orgs(ours.pk)):
        (mine,) = Customer.objects.filter(org=ours)[:1]
        fails(ProgrammingError, "SELECT nothing")
        fails(DataError, "SELECT 1/0")
        fails(IntegrityError, "UPDATE orders_customer SET name = NULL WHERE id = %s", mine.pk)
        # A foreign key is checked when the transaction ends, which in autocommit is with the statement.
        with scope.everything():
            fails(
                IntegrityError,
                "UPDATE orders_customer SET org_id = gen_random_uuid() WHERE id = %s",
                mine.pk,
                all_seen=True,
            )
        fails(
            ProgrammingError,
            "INSERT INTO orders_customer SELECT gen_random_uuid(), 'x', '', '', %s",
            theirs.pk,
        )
        with pytest.raises(ProgrammingError), connection.cursor() as cursor:
            cursor.execute("SELECT %s, %s", [1])
        assert seen() == {ours.pk}
        assert told() == ""


@pytest.mark.parametrize("values", [["a\0b"], [object()], []], ids=["NUL", "no type", "too few"])
def test_a_statement_that_cannot_be_sent_leaves_no_transaction_open(orgs, wall, values):
    ours, theirs = orgs
    with scope.within(scope.of_orgs(ours.pk)):
        for statement in (
            "UPDATE orders_customer SET name = %s",
            "SELECT name FROM orders_customer WHERE name = %s",
        ):
            with pytest.raises((DatabaseError, ValueError)), connection.cursor() as cursor:
                cursor.execute(statement, values)
            assert wall.connection.info.transaction_status == TransactionStatus.IDLE
        with transaction.atomic():
            assert seen() == {ours.pk}
    with scope.within(scope.of_orgs(theirs.pk)):
        assert seen() == {theirs.pk}


@pytest.mark.usefixtures("orgs")
def test_what_runs_only_outside_a_transaction_runs_there():
    owner = _owner(connections["default"])
    try:
        with scope.everything(), owner.cursor() as cursor:
            cursor.execute("CREATE INDEX CONCURRENTLY made_here ON orders_customer (name)")
            cursor.execute("DROP INDEX CONCURRENTLY made_here")
            cursor.execute("VACUUM orders_customer")
        with scope.within(scope.NOTHING), owner.cursor() as cursor:
            cursor.execute("/* any other */ VACUUM orders_customer")
        with owner.schema_editor(atomic=False) as editor:
            editor.execute("CREATE INDEX CONCURRENTLY made_here ON orders_customer (name)")
            editor.execute("DROP INDEX CONCURRENTLY made_here")
            with editor.connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM orders_customer")
                assert cursor.fetchone()[0] >= 2
    finally:
        owner.close()


def _owner(walled):
    server = urlsplit(os.environ[SUPERUSER_URL])
    access = {"USER": server.username, "PASSWORD": server.password}
    return type(walled)({**walled.settings_dict, **access}, "default")


def test_another_thread_sees_nothing_unless_it_takes_the_context_along(orgs):
    ours, _ = orgs
    found = []

    def look():
        found.append(seen())
        connections["default"].close()

    def look_as_the_role(run):
        walled = connections["default"]

        def body():
            connections["default"] = type(walled)(walled.settings_dict, "default")
            look()

        thread = threading.Thread(target=run, args=(body,))
        thread.start()
        thread.join()

    with scope.within(scope.of_orgs(ours.pk)):
        look_as_the_role(lambda body: body())
        look_as_the_role(copy_context().run)

    assert found == [set(), {ours.pk}]


def test_a_migration_sees_every_row_whoever_runs_it(orgs):
    with connection.schema_editor() as editor, editor.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders_customer")
        assert cursor.fetchone() == (2,)

    assert seen() == set()


def test_the_role_runs_schedules_and_makes_none(wall):
    with scope.everything():
        jobs.ensure_schedules()
        assert Schedule.objects.select_for_update().count() == len(jobs.SCHEDULES)
    for statement in (
        "INSERT INTO django_q_schedule (func, schedule_type, repeats) VALUES ('os.mkdir', 'O', -1)",
        "DELETE FROM django_q_schedule",
        "UPDATE django_q_task SET result = ''",
    ):
        with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)
