"""Who may import whom, read from the syntax trees: one ordered list of layers, and rules about single packages."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from erp_connectors.connectors.dropzone_csv_v1 import DropzoneCsvV1
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"

# A module may import its own entry and the layers below; not the layers above, nor others of its own layer.
LAYERS = """
orderflow: wsgi, help_settings
orderflow: urls, settings
erp_connectors: tasks, management, apps
erp_connectors: admin, api, watch, acceptance, checks, templatetags
erp_connectors: notifications, metrics
erp_connectors: retention
erp_connectors: bulk
erp_connectors.services: status
erp_connectors.services: restore, upkeep
erp_connectors.services: reconciliation
erp_connectors.services: delivery
erp_connectors.services: acks
erp_connectors.services: connections
erp_connectors.services: exports
erp_connectors: circuit, leases, dropzones, sessions, simulated_erp
erp_connectors: outbox
erp_connectors: connection_config, testing
erp_connectors: models, registry
erp_connectors: connectors, common_fields, fields, fault_records, messages, archive_watermark, s3_clients
erp_connectors: transports, archive, folder_storage, checked_connections
erp_connectors: fault_requests, ssh_messages
erp_connectors: port_types, config_fields, address_policy, s3_connections, sftp
erp_connectors: faults, states, counters, crashpoints, dropzone_paths
orderflow: supervisor, queue_cluster, gunicorn_conf
orderflow: site, __main__
orderflow: user_admin, ticker, body_limits, traces, login_expiry, gunicorn_worker, broker
orderflow: second_factor, heartbeat
orderflow: accounts, orders, jobs, idempotency, api_errors
orderflow: audit
orderflow: tenancy
orderflow: archive_settings, database_settings, log_settings, development, paging, search
orderflow: message_field
orderflow: input_rules, secrets, environment, clock, transitions, row_updates, tracing, queue_guard, subprocess_group
orderflow: typing_patches, translated_model_names, viewer_timezone, headers, debug_pages, outage, database_faults
orderflow: messages, durations, backoff, pooler, formats, api_settings, client_io, private_files
""".strip()

# entry: what it must not import, though it is below
NOT_EVEN = {
    "erp_connectors.connectors": ("django",),
    "erp_connectors.transports": ("django",),
    "erp_connectors.sftp": ("django", "orderflow", "erp_connectors"),
    "erp_connectors.faults": ("django",),
    "erp_connectors.dropzone_paths": ("django", "orderflow", "erp_connectors"),
    "erp_connectors.port_types": ("django",),
    "erp_connectors.states": ("orderflow", "erp_connectors"),
}
NAME_THE_QUEUE = {"orderflow.broker", "orderflow.jobs", "orderflow.queue_guard"}
MAY_NAME_THE_CONNECTORS = {"orderflow.urls"}
PORT = "erp_connectors.transports.base"


@cache
def layers() -> dict[str, int]:
    """Return the number of each entry's layer; the lowest has the highest number."""
    found: dict[str, int] = {}
    for number, line in enumerate(LAYERS.splitlines()):
        package, _, names = line.partition(": ")
        found |= {f"{package}.{name}": number for name in names.split(", ")}
    return found


@cache
def modules() -> dict[str, Path]:
    paths = [path for package in ("orderflow", "erp_connectors") for path in (ROOT / package).rglob("*.py")]
    return {_dotted(path): path for path in paths if "migrations" not in path.parts}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def entry_of(module: str) -> str | None:
    """Return the entry that ``module`` belongs to: the longest of which it is a part."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in layers()), None)


@cache
def imports(module: str) -> frozenset[str]:
    """Return every imported name with its module, also of imports in functions and for type checkers."""
    return frozenset(_imports(ast.parse(modules()[module].read_text(encoding="utf-8"))))


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    # Expressions hold no import, and there are many.
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _imports(child)


def imported_modules(module: str) -> set[str]:
    """Return those of our own modules that ``module`` imports."""
    found = set()
    for name in imports(module):
        target = name if name in modules() else name.rpartition(".")[0]
        if target in modules() and target != module:
            found.add(target)
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_each_module_is_in_a_layer_and_each_entry_has_modules():
    of_modules = {module: entry_of(module) for module in modules()}

    homeless = {module for module, entry in of_modules.items() if entry is None}
    assert homeless == {"orderflow", "erp_connectors", "erp_connectors.services"}
    assert set(layers()) == set(of_modules.values()) - {None}


def test_no_module_imports_a_layer_above_or_beside_its_own():
    wrong = [
        f"{module} imports {target}"
        for module in modules()
        for target in imported_modules(module)
        if not _may_import(entry_of(module), entry_of(target))
    ]
    assert wrong == []


def _may_import(importer: str | None, imported: str | None) -> bool:
    if imported is None or importer == imported:
        return True
    return importer is not None and layers()[importer] < layers()[imported]


def test_no_modules_import_each_other_in_a_circle():
    left = {module: imported_modules(module) for module in modules()}
    while done := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in done:
            del left[module]

    assert sorted(left) == [], "these import each other, or import one that does"


def test_the_site_does_not_know_the_connectors():
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        if within(module, "orderflow") and module not in MAY_NAME_THE_CONNECTORS
        for name in imports(module)
        if within(name, "erp_connectors")
    ]
    assert wrong == []


def test_ports_and_engines_depend_on_nothing_that_they_can_do_without():
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        for package in NOT_EVEN.get(entry_of(module) or "", ())
        for name in imports(module)
        if within(name, package) and not within(name, entry_of(module) or "")
    ]
    assert wrong == []


def test_the_product_imports_neither_tools_nor_tests():
    """They are not in the wheel and not in the image."""
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(module)
        if within(name, "tools") or within(name, "tests")
    ]
    assert wrong == []


def test_one_module_and_its_guard_name_the_queue():
    wrong = [
        module
        for module in modules()
        if module not in NAME_THE_QUEUE and any(within(name, "django_q") for name in imports(module))
    ]
    assert wrong == []


def test_a_concrete_transport_or_connector_is_named_only_by_the_registry():
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        if within(module, "erp_connectors.services") or within(module, "erp_connectors.connectors")
        for name in imports(module)
        if within(name, "erp_connectors.transports") and not within(name, PORT)
    ]
    assert wrong == []


def test_a_connector_type_is_written_only_in_its_connector():
    wrong = [
        path.relative_to(ROOT).as_posix()
        for package in ("orderflow", "erp_connectors", "tools")
        for path in (ROOT / package).rglob("*.py")
        if not {"dropzone_csv_v1", "dropzone_json_v1"} & {*path.parts}
        if any(
            isinstance(node, ast.Constant) and node.value in (DropzoneCsvV1.type, DropzoneJsonV1.type)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]
    assert wrong == []


def test_the_page_shows_the_layers():
    (block,) = re.findall(r"```layers\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    assert block == LAYERS
