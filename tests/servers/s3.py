"""A real S3 server (rclone's) on loopback; every bucket is a folder."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from erp_connectors.transports.s3 import S3Options
from tests.parts import find_program
from tests.servers.processes import free_port, running, wait_until_listening


@dataclass(frozen=True, slots=True)
class S3Server:
    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str
    folder: Path  # what the bucket holds, as plain files

    def options(self, **changes: Any) -> S3Options:
        return S3Options(
            **{
                "bucket": self.bucket,
                "access_key_id": self.access_key,
                "secret_access_key": self.secret_key,
                "endpoint_url": self.endpoint,
                **changes,
            }
        )

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return the config of a connection to it."""
        return {
            "mode": "s3",
            "endpoint": self.endpoint,
            "bucket": self.bucket,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            **changes,
        }


@contextmanager
def s3_server(folder: Path, bucket: str = "exports") -> Iterator[S3Server]:
    """Serve `folder` by S3, with one empty bucket in it."""
    buckets = folder / "buckets"
    (buckets / bucket).mkdir(parents=True)
    port, access_key, secret_key = free_port(), secrets.token_hex(8), secrets.token_hex(16)
    command = [rclone(), "serve", "s3", str(buckets), "--addr", f"127.0.0.1:{port}"]
    environment = rclone_environment(folder) | {"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"'}
    with (
        (folder / "log").open("wb") as log,
        running(command, env=environment, stdout=log, stderr=log) as server,
    ):
        wait_until_listening(server, port, log=folder / "log")
        yield S3Server(f"http://127.0.0.1:{port}", access_key, secret_key, bucket, buckets / bucket)


def rclone() -> str:
    """Where the Python package put rclone: beside the interpreter, else on the PATH."""
    beside = Path(sys.prefix) / "bin" / "rclone"
    found = str(beside) if beside.exists() else find_program("rclone")
    if not found:
        raise RuntimeError("rclone is missing: run `make install` (it comes with requirements-dev.txt)")
    return found


def rclone_environment(folder: Path) -> dict[str, str]:
    """rclone's settings and cache stay in `folder`, whoever runs it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RCLONE_")}
    own = {"RCLONE_CONFIG": str(folder / "rclone.conf"), "RCLONE_CACHE_DIR": str(folder / "cache")}
    return inherited | own | {"HOME": str(folder)}
