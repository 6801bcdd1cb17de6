"""An empty `{filename}.done` beside each file, for ERPs that wait for one."""

import asyncssh
import pytest

from erp_connectors.models import ERPExport
from erp_connectors.port_types import Guarantee, GuaranteeLevel
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import ExportStatus
from erp_connectors.transports.filesystem import FilesystemTransport
from orderflow.messages import foreign
from tests import factories
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.services.conftest import Killed, die
from tests.services.delivery.test_deliver import later

both_ways = pytest.mark.parametrize("atomic_write", [True, False])


def pushed(site, how_many=3):
    orders = factories.drafts(site.org, how_many)
    results = push_many(factories.ids(orders), actor=None)
    return [results[order.pk].export for order in orders]


def there(site):
    return sorted(path.name for path in site.inbox.iterdir())


def with_markers(exports):
    return sorted(name for export in exports for name in (export.filename, f"{export.filename}.done"))


@both_ways
def test_each_file_gets_an_empty_marker(make_site, atomic_write):
    site = make_site(done_marker=True, atomic_write=atomic_write)
    exports = pushed(site)

    assert deliver(site.connection.pk).sent == 3

    assert there(site) == with_markers(exports)
    assert all(path.read_bytes() == b"" for path in site.inbox.glob("*.done"))


def test_there_is_none_unless_asked_for(site):
    exports = pushed(site)
    deliver(site.connection.pk)

    assert there(site) == sorted(export.filename for export in exports)


@both_ways
@pytest.mark.parametrize("point", ["staged-committed", "published-before-commit", "marked-before-commit"])
@pytest.mark.parametrize("erp_takes_files", [False, True])
@pytest.mark.every_database
def test_a_worker_killed_around_the_marker_leaves_every_file_with_one(
    make_site, at_crashpoint, atomic_write, point, erp_takes_files
):
    site = make_site(done_marker=True, atomic_write=atomic_write)
    exports = pushed(site)
    taken = []

    def killed():
        for marker in site.inbox.glob("*.done") if erp_takes_files else ():
            # As an ERP does that waits for markers: the file first, then its marker.
            marker.with_suffix("").unlink()
            marker.unlink()
            taken.append(marker.stem)
        die()

    at_crashpoint(point, killed)
    with pytest.raises(Killed):
        deliver(site.connection.pk)
    later(site.connection)
    deliver(site.connection.pk)

    assert len(taken) == (3 if erp_takes_files and point == "marked-before-commit" else 0)
    assert there(site) == with_markers([export for export in exports if export.filename not in taken])
    assert set(ERPExport.objects.values_list("status", flat=True)) == {ExportStatus.SENT}


class TestOnAServer:
    @pytest.fixture
    def behaviour(self):
        return Behaviour()

    @pytest.fixture
    def site(self, make_site, tmp_path, behaviour):
        made = make_site()
        with asyncssh_server(made.inbox.parent, behaviour=behaviour) as server:
            made.connection.config = server.config(done_marker=True)
            made.connection.save()
            yield made

    def refuse_markers(self, behaviour, error):
        def interfere(operation, name):
            if name.endswith(".done"):
                raise error

        behaviour.interfere = interfere

    def test_the_marker_comes_after_the_file(self, site, behaviour):
        (export,) = pushed(site, 1)
        deliver(site.connection.pk)

        touched = [entry.rpartition("/")[2] for entry in behaviour.log if "sales_order" in entry]
        assert touched[-2:] == [export.filename, f"{export.filename}.done"]

    def test_a_marker_that_could_not_be_written_is_tried_again(self, site, behaviour):
        (export,) = pushed(site, 1)
        self.refuse_markers(behaviour, asyncssh.SFTPFailure("No space left on device"))

        deliver(site.connection.pk)

        export.refresh_from_db()
        assert (export.status, export.error_json["code"]) == (ExportStatus.PENDING, "DISK_FULL")
        assert export.error_json["params"]["path"].count(".done")
        assert there(site) == [export.filename]

        behaviour.interfere = None
        later(site.connection)
        assert deliver(site.connection.pk).sent == 1
        assert there(site) == with_markers([export])

    def test_an_order_waits_while_its_marker_may_not_be_written_and_is_not_sent_twice(self, site, behaviour):
        (export,) = pushed(site, 1)
        self.refuse_markers(behaviour, asyncssh.SFTPPermissionDenied("no"))

        deliver(site.connection.pk)

        export.refresh_from_db()
        assert export.status == ExportStatus.PENDING
        assert export.error_json["code"] == "PERMISSION_DENIED"

        behaviour.interfere = None
        assert all(step.ok for step in run_test(site.connection.pk, actor=None))
        deliver(site.connection.pk)

        export.refresh_from_db()
        assert export.status == ExportStatus.SENT
        assert there(site) == with_markers([export])


@pytest.mark.parametrize(
    ("config", "promise"),
    [
        ({}, "exactly once, always whole."),
        ({"done_marker": True}, "exactly once, always whole, followed by its .done marker."),
        ({"atomic_write": False}, "at least once, and a reader may see part of a file."),
        (
            {"atomic_write": False, "done_marker": True},
            "at least once, and only one that waits for the .done marker never sees part of a file.",
        ),
    ],
)
def test_the_connection_test_says_what_this_way_of_writing_promises(make_site, config, promise):
    site = make_site(**config)

    steps = {step.name: step for step in run_test(site.connection.pk, actor=None)}

    assert str(steps["export_path"].found).endswith(promise)
    level = "AT_LEAST_ONCE" if config.get("atomic_write") is False else "EXACTLY_ONCE"
    assert steps["export_path"].guarantee.level == level
    assert there(site) == []


def test_a_transport_without_a_receipt_says_why_it_promises_less(site, monkeypatch):
    weaker = Guarantee(GuaranteeLevel.AT_LEAST_ONCE, foreign("The bucket keeps no versions."))
    monkeypatch.setattr(FilesystemTransport, "guarantee", lambda self, *, atomic_write: weaker)

    steps = {step.name: step for step in run_test(site.connection.pk, actor=None)}

    assert steps["export_path"].guarantee == weaker
    assert str(steps["export_path"].found).endswith("written at least once. The bucket keeps no versions.")
