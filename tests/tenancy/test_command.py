"""Up, down, and said when it is not as it should be: the command, the checks, and `migrate`."""

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection, connections

from orderflow.orders.models import Customer
from orderflow.tenancy import checks, scope
from orderflow.tenancy.postgresql.base import DatabaseWrapper
from orderflow.tenancy.rls import install
from orderflow.tenancy.rls.policies import CLAIM
from tests import factories

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db]
DRAFTS = "orders_draftorder"


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def run(capsys, *options):
    """What it said, and its exit code."""
    code = 0
    try:
        call_command("row_level_security", *options)
    except SystemExit as ended:
        code = int(str(ended.code))
    return capsys.readouterr().out, code


def wrong():
    return {one.table.name: one.wrong for one in install.table_protections(connection) if one.wrong}


def found_ids():
    found = checks.row_level_security(None)
    return [message.id for message in found if message.id.startswith("tenancy")]


def test_it_goes_up_and_down_and_tells_how_it_stands(capsys, settings):
    settings.ROW_LEVEL_SECURITY = True
    said, code = run(capsys)
    assert "row-level security is off" in said
    assert code == 1

    said, code = run(capsys, "--apply")
    assert f"{DRAFTS}: protected now" in said
    assert code == 0
    assert run(capsys, "--apply")[0].count("protected now") == 0

    settings.ROW_LEVEL_SECURITY = False
    said, code = run(capsys)
    assert code == 1, "on in the database and off in the settings: nothing would be seen"
    said, code = run(capsys, "--remove")
    assert f"{DRAFTS}: open now" in said
    assert code == 0
    assert not any(one.enforced for one in install.table_protections(connection))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"ALTER TABLE {DRAFTS} DISABLE ROW LEVEL SECURITY", "row-level security is off"),
        (f"ALTER TABLE {DRAFTS} NO FORCE ROW LEVEL SECURITY", "its owner is not bound"),
        (f"DROP POLICY orderflow_org ON {DRAFTS}", "orderflow_org is missing"),
        (f"ALTER POLICY orderflow_org ON {DRAFTS} USING (true)", "orderflow_org is another"),
        (f"ALTER POLICY orderflow_org ON {DRAFTS} WITH CHECK (true)", "orderflow_org is another"),
        (f"ALTER POLICY orderflow_org ON {DRAFTS} TO pg_monitor", "orderflow_org is another"),
        (f"COMMENT ON POLICY orderflow_org ON {DRAFTS} IS 'older'", "orderflow_org is another"),
        (f"CREATE POLICY more ON {DRAFTS} USING (true)", "more is not ours"),
    ],
)
def test_whatever_somebody_changes_is_found_and_put_right(change, said, settings):
    settings.ROW_LEVEL_SECURITY = True
    install.apply(connection)
    assert wrong() == {}

    execute(change)

    assert [*wrong()] == [DRAFTS]
    assert said in wrong()[DRAFTS][0]
    assert "tenancy.E001" in found_ids()
    assert [table.name for table in install.apply(connection)] == [DRAFTS]
    assert wrong() == {}


def test_the_checks_for_production_tell_of_a_role_that_is_not_bound(settings):
    settings.ROW_LEVEL_SECURITY = True
    install.apply(connection)

    assert found_ids() == ["tenancy.E002"], "the tests' own role is a superuser"
    assert "tenancy.E002" in {message.id for message in run_checks(include_deployment_checks=True)}


def test_policies_without_the_setting_are_an_error(settings):
    install.apply(connection)

    assert found_ids() == ["tenancy.E003"]
    install.remove(connection)
    assert found_ids() == []


def test_an_owner_without_privileges_is_bound_and_a_warning(settings):
    settings.ROW_LEVEL_SECURITY = True
    execute("CREATE ROLE plain_owner")
    for one in install.table_protections(connection):
        execute(f'ALTER TABLE "{one.table.name}" OWNER TO plain_owner')
    factories.customer(factories.org())
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    install.apply(connection)
    execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain_owner")
    execute("SET LOCAL ROLE plain_owner")
    execute(f"SELECT set_config('{CLAIM}', '', true)")

    assert found_ids() == ["tenancy.W001"]
    assert Customer.objects.count() == 0


def test_who_does_not_own_the_tables_is_told_who_must_do_it(settings):
    settings.ROW_LEVEL_SECURITY = True
    execute("CREATE ROLE owns_nothing")
    execute("SET LOCAL ROLE owns_nothing")

    with pytest.raises(CommandError, match="owner's DATABASE_URL"):
        call_command("row_level_security", "--apply")
    checks.after_migrate("default")


def test_migrate_puts_it_up_with_the_setting_and_leaves_it_without(settings):
    call_command("migrate", verbosity=0)
    assert not any(one.enforced for one in install.table_protections(connection))

    settings.ROW_LEVEL_SECURITY = True
    call_command("migrate", verbosity=0)
    assert wrong() == {}


def test_migrate_refuses_to_run_where_the_setting_was_taken_back_before_the_policies():
    install.apply(connection)
    install.refuse_hidden_rows("default")  # a superuser sees every row
    execute("CREATE ROLE reader")
    execute("SET LOCAL ROLE reader")

    with pytest.raises(CommandError, match="ROW_LEVEL_SECURITY"):
        install.refuse_hidden_rows("default")


@pytest.mark.django_db(databases=[])
def test_on_another_database_the_command_says_so(monkeypatch):
    monkeypatch.setattr(type(connection), "vendor", "sqlite", raising=False)
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")

    with pytest.raises(CommandError, match="PostgreSQL"):
        call_command("row_level_security")


def test_the_schema_editor_leaves_no_claim_behind_where_it_fails():
    walled = DatabaseWrapper(connections["default"].settings_dict, "default")
    try:
        with scope.within(scope.NOTHING):
            with pytest.raises(ZeroDivisionError), walled.schema_editor(atomic=False):
                assert scope.current() is scope.EVERYTHING
                raise ZeroDivisionError
            assert scope.current() is scope.NOTHING
    finally:
        walled.close()
