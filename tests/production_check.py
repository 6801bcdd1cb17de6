"""Runs Django's own checks as production would: `check --deploy`, and no model change without its migration."""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

_CHECKS = [
    ["check", "--deploy", "--fail-level", "WARNING"],
    ["makemigrations", "--check", "--dry-run"],
    ["spectacular", "--validate", "--fail-on-warn", "--file", os.devnull],
]


def main() -> int:
    checkout = Path(__file__).resolve().parent.parent
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with tempfile.TemporaryDirectory() as var:
        production = {
            "ORDERFLOW_ENV": "production",
            "SECRET_KEY": secrets.token_hex(32),
            "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
            "ALLOWED_HOSTS": "orderflow.example.com",
            "VAR_DIR": var,
        }
        for check in _CHECKS:
            command = [sys.executable, "manage.py", *check]
            done = subprocess.run(command, env=kept | production, cwd=checkout, check=False)
            if done.returncode:
                print(f"failed: manage.py {' '.join(check)}", file=sys.stderr)
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
