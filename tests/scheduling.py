"""Which xdist worker gets which test."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).resolve().parent.parent
_SHARED_FIXTURE = re.compile(r"^@pytest\.fixture\((?!.*autouse).*scope=\"module\"", re.MULTILINE)
_OBJECT_STORE = re.compile(r"[\[-]s3[\]-]|^tests/servers/test_s3")


class ByExpensiveParts(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out tests one by one, but those that share an expensive part to one worker.

    So a run starts one Chromium, one object store, and what a module's fixture starts for
    the module once. xdist's own groups rename items, which pytest 9.2 ignores.

    The last of several workers begins at the end of the queue, where the short tests are. The long ones at its
    beginning mostly wait, and the processors would be idle until they are done.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.endswith("_in_browser.py"):
            return "browser"
        if _OBJECT_STORE.search(nodeid):
            return "object store"
        return path if _shares_a_fixture(_ROOT / path) else nodeid

    def _assign_work_unit(self, node: Any) -> None:
        nodes = self.nodes
        if len(nodes) > 2 and node is nodes[-1]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget a part once it is done; xdist keeps them all and counts through them after each test."""
        nodeid = self.registered_collections[node][item_index]
        parts, name = self.assigned_work[node], self._split_scope(nodeid)
        parts[name][nodeid] = True
        if all(parts[name].values()):
            del parts[name]
        self._reschedule(node)


@cache
def _shares_a_fixture(module: Path) -> bool:
    """Return True if the module, or the `conftest.py` beside it, makes something once for a module."""
    sources = (module, module.with_name("conftest.py"))
    return any(_SHARED_FIXTURE.search(path.read_text(encoding="utf-8")) for path in sources if path.exists())
