"""`make audit`: does any package that we pin have a known vulnerability?

Ends with 0 where none has, 1 where one has, 2 where not every package could be looked up. pip-audit itself ends with 0
for packages that its service has never heard of, and with 1 both for a finding and for a network that is down.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = ROOT / ".cache" / "audit" / "bin" / "pip-audit"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def main() -> int:
    options = _options()
    pinned = dict(PINNED.findall(options.requirements.read_text(encoding="utf-8")))
    if not pinned:
        _not_audited(f"{options.requirements} pins no package")
    found = _look_up(pinned, service=options.service, timeout=options.timeout)
    for line in found:
        print(line)
    print(
        f"{options.requirements.name}: {len(pinned)} packages audited, {len(found) or 'no'} known vulnerabilities"
    )
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements.txt", metavar="FILE")
    parser.add_argument("--service", metavar="URL", help="the query address of an OSV mirror of your own")
    parser.add_argument("--timeout", type=int, default=15, metavar="SECONDS", help="for each package (15)")
    return parser.parse_args()


def _look_up(pinned: dict[str, str], *, service: str | None, timeout: int) -> list[str]:
    """A line for each finding, once every package has been answered for."""
    with tempfile.TemporaryDirectory() as folder:
        # Without markers: what only Windows or another interpreter needs is audited, too.
        names, report = Path(folder, "pinned.txt"), Path(folder, "report.json")
        names.write_text(
            "".join(f"{name}=={version}\n" for name, version in pinned.items()), encoding="utf-8"
        )
        command = [
            str(PIP_AUDIT),
            "-r",
            str(names),
            "--no-deps",
            "--disable-pip",
            "-f",
            "json",
            "-o",
            str(report),
        ]
        command += ["--progress-spinner", "off", "--timeout", str(timeout)]
        command += ["-s", "osv", "--osv-url", service] if service else []
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.exists():
            _not_audited(_last_words(ended.stderr))
        answers = {row["name"]: row for row in json.loads(report.read_text(encoding="utf-8"))["dependencies"]}
    silent = [name for name in pinned if "vulns" not in answers.get(name, {})]
    if silent:
        _not_audited(
            f"the service knows nothing of {len(silent)} of {len(pinned)} packages: {', '.join(silent)}"
        )
    return [_line(row, vulnerability) for row in answers.values() for vulnerability in row["vulns"]]


def _line(row: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    ids = ", ".join([vulnerability["id"], *vulnerability["aliases"]])
    fixed = " or ".join(vulnerability["fix_versions"]) or "no version yet"
    return f"{row['name']} {row['version']}: {ids}; fixed in {fixed}"


def _last_words(errors: str) -> str:
    lines = [line for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else "pip-audit said nothing"


def _not_audited(reason: str) -> NoReturn:
    print(f"not audited: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
