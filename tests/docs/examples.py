"""The complete examples of the pages about connectors and transports: taken from the page, and installed."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[2] / "docs"


def source_of(page: str) -> str:
    """Return the page's longest Python block."""
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return max(blocks, key=len)


def module_of(page: str, name: str) -> ModuleType:
    """Return the example as a module that can be imported by ``name``."""
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(source_of(page), str(DOCS / page), "exec"), module.__dict__)  # noqa: S102  # our own page
    return module


def install(folder: Path, *, more: str = "") -> Path:
    """Install a package with both examples and their entry points, as any other package; return its place.

    ``more`` are more entry points of transports.
    """
    wheel = folder / "my_package-1.0-py3-none-any.whl"
    info = "my_package-1.0.dist-info"
    files = {
        "my_package/__init__.py": "",
        "my_package/connector.py": source_of("connectors.md"),
        "my_package/share.py": source_of("transports.md"),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[orderflow.connectors]\nCSV = my_package.connector:CsvConnector\n"
        "DROPZONE_JSON_V1 = my_package.connector:CsvConnector\n"
        "[orderflow.transports]\nshare = my_package.share:ShareTransport\nsftp = my_package.share:ShareTransport\n"
        + more,
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    place = folder / "site"
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile",
            "--disable-pip-version-check", "--target", str(place), str(wheel),
        ],
        check=True,
    )  # fmt: skip
    return place
