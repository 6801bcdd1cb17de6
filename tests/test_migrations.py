"""The shape that migrations keep until the first release: see CONTRIBUTING.md."""

from collections import defaultdict

from django.db.migrations import CreateModel, RunPython
from django.db.migrations.loader import MigrationLoader

# What no model can express: triggers, and an index over an expression of PostgreSQL's own.
BESIDES = {"audit": ["0002_append_only"], "orders": ["0002_find_orders_by_number"]}


def test_each_app_has_one_initial_migration_and_no_other_that_changes_the_schema():
    ours = defaultdict(list)
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if type(migration).__module__.startswith(("orderflow.", "erp_connectors.")):
            ours[app].append(name)
            # With its constraints, since adding them one by one takes half as long again.
            only = CreateModel if name == "0001_initial" else RunPython
            assert {type(one) for one in migration.operations} == {only}, (app, name)

    assert ours
    assert {app: sorted(names) for app, names in ours.items()} == {
        app: ["0001_initial", *BESIDES.get(app, [])] for app in ours
    }
