"""Who may import whom, read from the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# package: what it must not import
FORBIDDEN = {
    "orderflow/tenancy": ("erp_connectors", "orderflow.orders", "orderflow.audit"),
    "orderflow/orders": ("erp_connectors",),
    "orderflow/audit": ("erp_connectors", "orderflow.orders"),
    "orderflow/accounts": ("erp_connectors", "orderflow.orders"),
    "erp_connectors/services": ("erp_connectors.api", "erp_connectors.admin", "erp_connectors.tasks", "django_q"),
    "erp_connectors/connectors": ("django", "erp_connectors.models", "erp_connectors.services", "erp_connectors.sftp"),
    "erp_connectors/transports": ("django", "erp_connectors.models", "erp_connectors.services", "orderflow.tenancy",
                                  "orderflow.orders", "orderflow.audit", "orderflow.jobs"),
    "erp_connectors/sftp": ("django", "orderflow", "erp_connectors.models", "erp_connectors.services",
                            "erp_connectors.transports", "erp_connectors.faults", "erp_connectors.port_types",
                            "erp_connectors.address_policy"),
    "erp_connectors/faults.py": ("django", "orderflow"),
    "erp_connectors/port_types.py": ("django", "orderflow"),
    "erp_connectors/states.py": ("orderflow", "erp_connectors"),
    "erp_connectors/models.py": ("erp_connectors.services", "erp_connectors.registry"),
}  # fmt: skip
NAME_THE_QUEUE = {ROOT / "orderflow" / f"{name}.py" for name in ("broker", "jobs", "queue_guard")}


def modules(place: str) -> Iterator[Path]:
    path = ROOT / place
    yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_nothing_runs_back():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for place, packages in FORBIDDEN.items()
        for path in modules(place)
        for name in imports(path)
        if any(within(name, package) for package in packages)
    ]
    assert [place for place in FORBIDDEN if not list(modules(place))] == []
    assert wrong == []


def test_the_product_imports_neither_tools_nor_tests():
    """They are not in the wheel and not in the image."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for place in ("orderflow", "erp_connectors", "manage.py")
        for path in modules(place)
        for name in imports(path)
        if within(name, "tools") or within(name, "tests")
    ]
    assert wrong == []


def test_one_module_and_its_guard_name_the_queue():
    wrong = [
        str(path.relative_to(ROOT))
        for package in ("orderflow", "erp_connectors")
        for path in modules(package)
        if path not in NAME_THE_QUEUE and any(within(name, "django_q") for name in imports(path))
    ]
    assert wrong == []


def test_a_concrete_transport_or_connector_is_named_only_by_the_registry():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for place in ("erp_connectors/services", "erp_connectors/connectors")
        for path in modules(place)
        for name in imports(path)
        if within(name, "erp_connectors.transports") and not within(name, "erp_connectors.transports.base")
    ]
    assert wrong == []
