"""Past the program: SQL by hand as its own role, with one org claimed, or nothing, and another org's rows there."""

# ruff: noqa: S608  # names of tables and columns can be no parameters

import json

import psycopg
import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.db import connection, connections
from django.db.models import ForeignKey
from django.test import override_settings
from django.utils import timezone

from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction
from erp_connectors.models import ERPExport
from erp_connectors.notifications.models import Notification
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import PendingEvent, Subscription
from erp_connectors.retention.models import RetentionRun, RetentionShare
from orderflow.accounts.models import Token
from orderflow.idempotency.models import KeyedRequest
from orderflow.orders.models import Document, DraftOrder, ImportedOrder
from orderflow.orders.states import DraftStatus
from orderflow.second_factor.models import RecoveryCode, SecondFactor
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.rls.policies import path_of, tables
from tests import databases, factories
from tests.tenancy.conftest import all_the_way, put_up, tenant_in

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db]
# Entries may not be changed by the role at all.
APPEND_ONLY = {"audit_auditlog"}
BY_POLICY = "row-level security"


def fill(tenant):
    """A row in every table of an org."""
    assert all_the_way(tenant) == "ACKED"
    export = ERPExport.objects.get(org=tenant.org)
    order = export.draft_order
    buyer = factories.customer(tenant.org)
    factories.draft(tenant.org)
    Document.objects.create(org=tenant.org, file_name="order.pdf", sha256="0" * 64, size=1)
    ImportedOrder.objects.create(
        customer=buyer, external_order_number="1", draft_order=order, sha256="x", file_name="f", file_line=1
    )
    Token.objects.create(tenant.admin)
    factor = SecondFactor.objects.create(user=tenant.admin, secret="sealed", last_step=1)
    RecoveryCode.objects.create(factor=factor, digest="d")
    LogEntry.objects.create(user=tenant.admin, action_flag=ADDITION, object_repr="secret")
    KeyedRequest.objects.create(
        scope=f"org {tenant.org.pk}",
        operation="POST /",
        key="k",
        fingerprint="f",
        token="t",
        until=timezone.now(),
    )
    runs.make(BulkAction.PUSH, [order.pk], actor=tenant.admin)
    told = Subscription.objects.create(
        org=tenant.org, connection=tenant.connection, addresses="a@example.com"
    )
    PendingEvent.objects.create(
        subscription=told, event=Event.values[0], connection=tenant.connection, export=export
    )
    RetentionShare.objects.create(run=RetentionRun.objects.create(org=tenant.org), org=tenant.org)
    Notification.objects.create(subscription=told, event=Event.values[0], content={"order": "secret"})


@pytest.fixture(scope="module")
def _world(django_db_setup, django_db_blocker, tmp_path_factory):
    """Once for all of these tests: each gives back what it changed."""
    folder = tmp_path_factory.mktemp("tenants")
    with django_db_blocker.unblock(), override_settings(DROPZONE_ROOTS=[str(folder)]), put_up() as app:
        try:
            ours, theirs = tenant_in(folder), tenant_in(folder)
            for tenant in (ours, theirs):
                fill(tenant)
            yield app, ours, theirs, factories.user(None)
        finally:
            databases.empty(connections["default"])


@pytest.fixture
def two(_world):
    return _world[1:3]


@pytest.fixture
def staff(_world):
    return _world[3]


@pytest.fixture
def claiming(_world):
    """Connections of the program's role, each in a transaction that is taken back."""
    app, opened = _world[0], []

    def connect(claim=None):
        opened.append(app.connect(claim))
        opened[-1].autocommit = False
        return opened[-1]

    yield connect
    for one in opened:
        one.rollback()
        one.close()


def rows_of(table, org):
    """As the owner sees them, by the model's own path."""
    claimed = f"org {org.pk}" if path_of(table.model) == "scope" else org.pk
    rows = table.model._default_manager.filter(**{path_of(table.model): claimed})
    return {str(pk) for pk in rows.values_list("pk", flat=True)}


def key(table):
    return table.model._meta.pk.column


def seen(app, table):
    return {str(pk) for (pk,) in app.execute(f'SELECT "{key(table)}" FROM "{table.name}"').fetchall()}


def refusal(app, statement, *parameters):
    """The database's words; empty: it did it."""
    try:
        with app.transaction():
            app.execute(statement, parameters)
    except psycopg.Error as error:
        return str(error)
    return ""


def as_json(name, column, value):
    """A whole row, as the owner sees it."""
    with connection.cursor() as owner:
        owner.execute(f'SELECT to_json(t)::text FROM "{name}" t WHERE "{column}"::text = %s', [value])
        return owner.fetchone()[0]


def insert_into(name):
    return f'INSERT INTO "{name}" SELECT * FROM json_populate_record(NULL::"{name}", %s)'


def shown_to_all(table, staff):
    """Platform staff, whose names stand in every org's histories."""
    return {str(staff.pk)} if table.model is User else set()


def test_an_org_sees_all_its_rows_and_none_of_another(two, claiming, staff):
    ours, theirs = two
    mine = claiming(str(ours.org.pk))
    for table in tables():
        assert rows_of(table, ours.org), f"{table.name} has nothing to look for"
        assert rows_of(table, theirs.org), f"{table.name} has nothing to look for"
        assert seen(mine, table) == rows_of(table, ours.org) | shown_to_all(table, staff), table.name


def test_two_orgs_may_be_claimed_at_once_and_everything(two, claiming, staff):
    both = ",".join(str(tenant.org.pk) for tenant in two)
    one, all_of_it = claiming(both), claiming("*")
    for table in tables():
        assert seen(one, table) == rows_of(table, two[0].org) | rows_of(table, two[1].org) | shown_to_all(
            table, staff
        )
        assert seen(all_of_it, table) == {
            str(pk) for pk in table.model._default_manager.values_list("pk", flat=True)
        }


@pytest.mark.parametrize("claim", [None, "", "00000000-0000-0000-0000-000000000000"])
def test_who_claims_nothing_or_what_is_not_there_sees_nothing_and_changes_nothing(claiming, staff, claim):
    nobody = claiming(claim)
    for table in tables():
        shown = shown_to_all(table, staff) if claim else set()
        assert seen(nobody, table) == shown, table.name
        if table.name not in APPEND_ONLY:
            assert nobody.execute(f'UPDATE "{table.name}" SET "{key(table)}" = "{key(table)}"').rowcount == 0
            assert nobody.execute(f'DELETE FROM "{table.name}"').rowcount == 0


@pytest.mark.parametrize("claim", ["1 OR true", "%", "* "])
def test_a_claim_that_is_no_id_shows_nothing(two, claiming, claim):
    odd = claiming(claim)
    for table in tables():
        by_text = path_of(table.model) == "scope"
        assert by_text or "invalid input syntax for type uuid" in refusal(odd, f'SELECT FROM "{table.name}"')
        assert not by_text or seen(odd, table) == set()


def test_another_orgs_rows_are_neither_changed_nor_removed(two, claiming):
    ours, theirs = two
    mine = claiming(str(ours.org.pk))
    for table in tables():
        if table.name in APPEND_ONLY:
            continue
        own, others = rows_of(table, ours.org), rows_of(table, theirs.org)
        touched = mine.execute(f'UPDATE "{table.name}" SET "{key(table)}" = "{key(table)}"').rowcount
        assert touched == len(own), table.name
        removed = mine.execute(
            f'DELETE FROM "{table.name}" WHERE "{key(table)}"::text = ANY (%s)', [[*others]]
        )
        assert removed.rowcount == 0, table.name
        assert rows_of(table, theirs.org) == others, table.name


def test_nothing_is_put_into_another_org(two, claiming):
    """The very row that is there, so that nothing else could be wrong with it."""
    ours, theirs = two
    mine = claiming(str(ours.org.pk))
    for table in tables():
        (other, *_) = rows_of(table, theirs.org)
        said = refusal(mine, insert_into(table.name), as_json(table.name, key(table), other))
        assert BY_POLICY in said, f"{table.name}: {said}"


def test_no_row_is_moved_to_another_org_nor_points_to_its_rows(two, claiming):
    ours, theirs = two
    tried = 0
    by_model = {table.model: table for table in tables()}
    mine = claiming(str(ours.org.pk))
    for table in by_model.values():
        for field in table.model._meta.concrete_fields:
            if not isinstance(field, ForeignKey) or table.name in APPEND_ONLY:
                continue
            behind = by_model.get(field.remote_field.model)
            if behind is None:
                continue
            (other, *_) = rows_of(behind, theirs.org)
            said = refusal(mine, f'UPDATE "{table.name}" SET "{field.column}" = %s', other)
            assert BY_POLICY in said, f"{table.name}.{field.column}: {said}"
            tried += 1
    assert tried >= 20


def test_an_export_of_ours_can_not_carry_an_order_of_theirs(two, claiming):
    """A worker, who sees everything, would deliver it."""
    ours, theirs = two
    mine, exports = claiming(str(ours.org.pk)), "erp_connectors_erpexport"
    row = json.loads(as_json(exports, "id", str(ERPExport.objects.get(org=ours.org).pk)))
    row |= {"id": "11111111-1111-1111-1111-111111111111", "filename": "other.json"}

    unsent = {
        org: DraftOrder.objects.get(org=org, status=DraftStatus.APPROVED) for org in (ours.org, theirs.org)
    }
    carrying = {org: row | {"draft_order_id": str(order.pk)} for org, order in unsent.items()}

    assert BY_POLICY in refusal(mine, insert_into(exports), json.dumps(carrying[theirs.org]))
    assert refusal(mine, insert_into(exports), json.dumps(carrying[ours.org])) == ""


def test_joins_and_sums_over_all_tables_tell_only_of_ones_own(two, claiming):
    ours, _ = two
    mine = claiming(str(ours.org.pk))
    for statement in (
        "SELECT e.org_id FROM erp_connectors_erpexportevent v JOIN erp_connectors_erpexport e ON e.id = v.export_id",
        "SELECT d.org_id FROM orders_draftorderline l JOIN orders_draftorder d ON d.id = l.draft_order_id",
        "SELECT org_id FROM (SELECT org_id, count(payload) FROM erp_connectors_erpexport GROUP BY 1) x",
        "SELECT b.org_id FROM erp_connectors_erpexport a FULL JOIN orders_draftorder b ON true WHERE b.id IS NOT NULL",
        "SELECT org_id FROM audit_auditlog WHERE after::text LIKE '%%filename%%'",
    ):
        assert {org for (org,) in mine.execute(statement).fetchall()} == {ours.org.pk}, statement
    assert mine.execute("SELECT count(*) FROM erp_connectors_erpexportevent").fetchone()[0] == len(
        rows_of(next(t for t in tables() if t.name == "erp_connectors_erpexportevent"), ours.org)
    )


def test_a_condition_that_complains_about_rows_never_meets_anothers(two, claiming):
    """As an attacker asks who can read error messages: the policy comes before what the statement computes."""
    ours, theirs = two
    secret = Org.objects.get(pk=theirs.org.pk).name
    mine = claiming(str(ours.org.pk))
    said = refusal(mine, "SELECT FROM tenancy_org WHERE (name || 'x')::int > 0")

    assert ours.org.name in said
    assert secret not in said


def test_platform_staff_are_named_in_every_org_and_changed_by_none(two, claiming, staff):
    ours, _ = two
    mine = claiming(str(ours.org.pk))
    assert mine.execute("SELECT email FROM tenancy_user WHERE id = %s", [staff.pk]).fetchone() == (
        staff.email,
    )
    assert mine.execute("UPDATE tenancy_user SET email = 'x' WHERE id = %s", [staff.pk]).rowcount == 0
    assert mine.execute("DELETE FROM tenancy_user WHERE id = %s", [staff.pk]).rowcount == 0


def test_the_owner_is_bound_too_and_the_role_can_not_switch_it_off(two, claiming):
    mine = claiming("*")
    for refused in (
        "ALTER TABLE orders_draftorder DISABLE ROW LEVEL SECURITY",
        "DROP POLICY orderflow_org ON orders_draftorder",
        "CREATE POLICY more ON orders_draftorder USING (true)",
        "TRUNCATE orders_draftorder CASCADE",
        "SET ROLE postgres",
        "SET session_replication_role = replica",
    ):
        assert "permission denied" in refusal(mine, refused) or "must be owner" in refusal(mine, refused), (
            refused
        )
    # It stays bound: the server rather fails than shows all.
    assert "would be affected" in refusal(mine, "SET row_security = off; SELECT FROM orders_draftorder")
