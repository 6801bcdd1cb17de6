"""A real PgBouncer (Debian's package) in front of a PostgreSQL server, in transaction mode unless asked otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.parts import require_program
from tests.servers.postgres import unprivileged, wait_until_ready
from tests.servers.processes import free_port, running

_START_SECONDS = 120
_CONFIG = """\
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
max_client_conn = 300
default_pool_size = {pool_size}
"""


@contextmanager
def pgbouncer(
    folder: Path, server_url: str, *, mode: str = "transaction", pool_size: int = 4
) -> Iterator[str]:
    """Yield the URL of the same database behind a pooler with ``pool_size`` connections to the server."""
    executable = require_program("pgbouncer")
    server, port = urlsplit(server_url), free_port()
    folder.mkdir(parents=True)
    users, config = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{server.username}" "{server.password}"\n')
    values = {"host": server.hostname, "server_port": server.port, "port": port, "users": users}
    config.write_text(_CONFIG.format(**values, mode=mode, pool_size=pool_size))
    url = server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{port}").geturl()
    with (folder / "log").open("wb") as log:
        command = unprivileged([executable, str(config)])
        with running(command, grace=_START_SECONDS, stdout=log, stderr=log, cwd=folder) as pooler:
            wait_until_ready(pooler, url, log=folder / "log")
            yield url
