"""Settings of the database of DATABASE_URL, with timeouts for a silent server."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from orderflow import environment as env
from orderflow.private_files import make_folder


def database(var: Path, *, row_level_security: bool) -> dict[str, Any]:
    """Return the entry of DATABASES. Raise `ImproperlyConfigured` for row-level security without PostgreSQL."""
    config = env.database("DATABASE_URL", f"sqlite:///{var / 'orderflow.sqlite3'}")
    if config["ENGINE"].endswith("sqlite3"):
        if row_level_security:
            raise ImproperlyConfigured(
                "ROW_LEVEL_SECURITY is true, and SQLite has none. Let DATABASE_URL name a PostgreSQL database, or "
                "remove ROW_LEVEL_SECURITY."
            )
        make_folder(Path(config["NAME"]).resolve().parent)
        # IMMEDIATE: a transaction that reads and then writes would otherwise fail when another one wrote meanwhile.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        config["CONN_MAX_AGE"] = 60
        config["CONN_HEALTH_CHECKS"] = True
        # Send values apart from the statement's text, which every session of the same role reads in `pg_stat_activity`,
        # also behind row-level security.
        config["OPTIONS"] = {
            **_timeouts(),
            **config.get("OPTIONS", {}),
            "server_side_binding": True,
        }
        # Such a cursor outlives its transaction. Behind a pooler the next FETCH may reach another client's cursor.
        config["DISABLE_SERVER_SIDE_CURSORS"] = True
        if row_level_security:
            config["ENGINE"] = "orderflow.tenancy.postgresql"
    return config


def _timeouts() -> dict[str, int]:
    """Return the libpq options that detect a silent server or network."""
    silent = env.number("DATABASE_SILENT_SECONDS", 60, minimum=6)
    return {
        "connect_timeout": env.number("DATABASE_CONNECT_SECONDS", 10, minimum=2),
        "keepalives": 1,
        "keepalives_idle": silent // 2,
        "keepalives_interval": max(1, silent // 6),
        "keepalives_count": 3,
        "tcp_user_timeout": silent * 1000,
    }
