"""Rewrite every app's `0001_initial.py` from its models. Only allowed until the first release: see CONTRIBUTING.md."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from django.apps import AppConfig, apps
from django.conf import settings
from django.db.migrations import AddConstraint, AddIndex, CreateModel, Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter

# By name, not by folder: installed packages are inside this folder, too, in .venv.
PACKAGES = ("orderflow", "erp_connectors")


def main() -> None:
    ours = [app for app in apps.get_app_configs() if _is_ours(app)]
    files = [_write(Path(app.path), migration) for app, migration in _initial(ours)]
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--select", "I", "--fix", *files], check=True)
    subprocess.run([*ruff, "format", "--quiet", *files], check=True)


def _is_ours(app: AppConfig) -> bool:
    has_tables = any(model._meta.managed for model in app.get_models())
    return app.name.split(".")[0] in PACKAGES and has_tables


def _initial(ours: list[AppConfig]) -> Iterator[tuple[AppConfig, Migration]]:
    labels = {app.label for app in ours}
    # Django finds no migrations in a package that does not exist, so it plans all of them again.
    settings.MIGRATION_MODULES |= {app.label: f"{app.name}.no_migrations" for app in ours}
    loader = MigrationLoader(None, ignore_no_migrations=True)
    detector = MigrationAutodetector(
        loader.project_state(), ProjectState.from_apps(apps), MigrationQuestioner(specified_apps=labels)
    )
    changes = detector.changes(loader.graph, trim_to_apps=labels, convert_apps=labels)
    for app in ours:
        migration, *more = changes[app.label]
        if more:
            sys.exit(f"{app.label} needs more than one migration. Remove the circular foreign keys.")
        _create_with_constraints(migration)
        yield app, migration


def _create_with_constraints(migration: Migration) -> None:
    """Create each table with its indexes and constraints.

    Django adds them one by one. For each it builds the models anew, and SQLite the table, which is a third of the time
    that a new database takes.
    """
    tables = {one.name_lower: one for one in migration.operations if isinstance(one, CreateModel)}
    rest = []
    for operation in migration.operations:
        if isinstance(operation, AddIndex):
            tables[operation.model_name_lower].options.setdefault("indexes", []).append(operation.index)
        elif isinstance(operation, AddConstraint):
            tables[operation.model_name_lower].options.setdefault("constraints", []).append(
                operation.constraint
            )
        else:
            rest.append(operation)
    migration.operations = rest  # type: ignore[misc]  # Django itself sets it on the instance


def _write(app: Path, migration: Migration) -> str:
    file = app / "migrations" / "0001_initial.py"
    file.write_text(MigrationWriter(migration, include_header=False).as_string(), encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orderflow.settings")
    django.setup()
    main()
