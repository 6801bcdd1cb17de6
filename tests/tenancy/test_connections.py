"""The claim follows the scope: past transactions that are taken back, lost connections and cursors that stay open."""

import threading
from contextvars import copy_context

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule

from orderflow import jobs
from orderflow.orders.models import Customer
from orderflow.tenancy import scope
from orderflow.tenancy.models import Org
from orderflow.tenancy.policies import CLAIM
from tests import databases, factories
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


@pytest.fixture
def wall(db, _world):
    with at_work_as(_world[0]) as walled:
        yield walled


@pytest.fixture
def orgs(wall, _world):
    return _world[1]


def seen():
    return {customer.org_id for customer in Customer.objects.all()}


def told():
    """By the server, past what the program believes."""
    return connection.connection.execute("SELECT current_setting(%s, true)", [CLAIM]).fetchone()[0]


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


def test_the_claim_is_told_again_after_a_transaction_that_was_taken_back(orgs):
    ours, theirs = orgs
    with scope.within(scope.of_orgs(theirs.pk)):
        seen()
    with scope.within(scope.of_orgs(ours.pk)):
        with pytest.raises(Undone), transaction.atomic():
            assert seen() == {ours.pk}
            raise Undone
        # The server is back at what was told before.
        assert told() == str(theirs.pk)
        assert seen() == {ours.pk}


def test_and_after_a_savepoint(orgs):
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


def test_it_is_told_once_however_many_statements_follow(orgs, wall):
    ours, _ = orgs
    told_times = count_tellings(wall)
    with scope.within(scope.of_orgs(ours.pk)), CaptureQueriesContext(connection) as asked:
        for _ in range(5):
            seen()
    assert (len(asked), told_times()) == (5, 1)

    with scope.everything():
        seen()
        seen()
    assert told_times() == 2


def count_tellings(wall):
    seen()
    said, execute = [], wall.connection.execute

    def counting(*statement, **options):
        said.append(statement)
        return execute(*statement, **options)

    wall.connection.execute = counting
    return lambda: len(said)


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
