"""The tests' PostgreSQL leaves no process behind."""

from pathlib import Path

import psycopg
import pytest

from tests.servers.postgres import postgres_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc, so needs Linux"),
]


def test_a_query_that_no_client_waits_for_any_more_ends_with_the_server(tmp_path: Path) -> None:
    with postgres_server(tmp_path / "postgres") as url:
        client = psycopg.connect(url)
        backend = client.info.backend_pid
        client.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000000)")
        assert Path(f"/proc/{backend}").exists()

    assert not Path(f"/proc/{backend}").exists()
