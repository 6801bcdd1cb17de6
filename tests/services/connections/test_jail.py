"""Two orgs on one machine: what one's people or its ERP do in their own folders never reaches the other's."""

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from erp_connectors import checks
from erp_connectors.config_fields import ConfigError
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.registry import open_transport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import probe_steps
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.connections.manage import change_connection, create_connection
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.states import AckFileStatus, ConnectionStatus, ExportStatus
from tests import factories
from tests.services.acks.test_poll import ACKED, sent
from tests.swapping import swapping


@pytest.fixture
def walled(settings, tmp_path):
    settings.DROPZONE_ROOTS = [f"{tmp_path}/{{org}}"]


def config_of(site, **changes):
    return {"mode": "filesystem", "export_path": str(site.inbox), "ack_path": str(site.acks), **changes}


def store(site, **changes):
    """Store a config without the checks, as if DROPZONE_ROOTS were changed afterwards."""
    site.connection.config = config_of(site, **changes)
    site.connection.save()


def files_below(folder: Path) -> dict[str, bytes | None]:
    """None: a folder."""
    return {str(path): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("key", ["export_path", "ack_path"])
def test_a_folder_outside_the_roots_is_refused_when_it_is_saved(make_site, walled, key):
    mine, theirs = make_site(), make_site()
    config = config_of(mine, **{key: str(theirs.inbox)})

    with pytest.raises(ConfigError) as refused:
        change_connection(mine.connection.pk, actor=None, config=config)
    with pytest.raises(ConfigError):
        create_connection(factories.org(), "DROPZONE_JSON_V1", config, actor=None)

    assert set(refused.value.problems) == {key}
    assert dropzone_of(ERPConnection.objects.get(pk=mine.connection.pk)).export_path == str(mine.inbox)


def test_a_connection_outside_the_roots_can_still_be_disabled(make_site, walled):
    site = make_site()
    store(site, export_path="/elsewhere")

    changed = change_connection(site.connection.pk, actor=None, status=ConnectionStatus.DISABLED)

    assert changed.status == ConnectionStatus.DISABLED


def test_an_org_reaches_only_its_own_root(make_site, walled):
    mine, theirs = make_site(), make_site()
    store(mine, export_path=str(theirs.inbox))

    steps = run_test(mine.connection.pk, actor=None)

    assert (steps[-1].name, steps[-1].fault and steps[-1].fault.code) == ("export_path", "OUTSIDE_ROOTS")
    assert list(theirs.inbox.iterdir()) == []
    assert all(step.ok for step in run_test(theirs.connection.pk, actor=None))


def test_who_has_no_org_has_none_of_the_orgs_roots(site, walled):
    dropzone = replace(dropzone_of(site.connection), org_slug="")

    assert [step.fault.code for step in probe_steps(dropzone) if step.fault] == ["OUTSIDE_ROOTS"]


def test_a_link_that_the_erps_user_makes_into_another_orgs_folder_is_not_followed(make_site, walled):
    mine, theirs = make_site(), make_site()
    (export,) = sent(theirs)
    answer = theirs.answer(f"ack_{export.filename}", ACKED)
    mine.acks.rmdir()
    mine.acks.symlink_to(theirs.acks)

    report = poll(mine.connection.pk)

    assert "OUTSIDE_ROOTS" in ERPConnection.objects.get(pk=mine.connection.pk).poll_error["code"]
    assert (report.listed, answer.read_bytes()) == (0, ACKED)
    assert poll(theirs.connection.pk).accepted == 1


@pytest.mark.timeout(120)
def test_folders_swapped_for_links_under_deliveries_and_polls_let_nothing_cross(make_site, walled):
    """An attacker who owns one org's folders has two seconds to hit the moment between check and use.

    On a busy machine it goes on until something got through and something was stopped.
    """
    mine, theirs = make_site(), make_site()
    (waiting,) = sent(theirs)
    theirs.answer(f"ack_{waiting.filename}", ACKED)
    before = files_below(theirs.acks.parent)
    met: set[str] = set()

    with ExitStack() as attacks:
        own_acks = os.open(mine.acks, os.O_RDONLY)
        attacks.callback(os.close, own_acks)
        # With rests, so that some of it succeeds and each step is met.
        attacks.enter_context(swapping(mine.inbox, theirs.inbox, rests=0.05))
        attacks.enter_context(swapping(mine.acks, theirs.acks, rests=0.005))
        began = time.monotonic()
        while time.monotonic() < began + 2 or (
            time.monotonic() < began + 60 and not (any(met) and acked(mine))
        ):
            push_many(factories.ids(factories.drafts(mine.org, 3)), actor=None)
            deliver(mine.connection.pk)
            answer_all(mine, own_acks)
            met.add(poll(mine.connection.pk).error)
            without_circuit(mine)

    exports = ERPExport.objects.filter(org=mine.org)
    gone_out = set(exports.exclude(sent_at=None).values_list("filename", flat=True))
    assert files_below(theirs.acks.parent) == before
    assert not AckFile.objects.filter(org=mine.org).exclude(export__org=mine.org).exists()
    assert gone_out <= mine.published().keys(), "one was SENT that is not in its own folder"
    assert acked(mine), "nothing got through, so nothing was tried"
    assert any(met), "the swap never met a poll"


def acked(site) -> bool:
    return ERPExport.objects.filter(org=site.org, status=ExportStatus.ACKED).exists()


def answer_all(site, folder: int) -> None:
    for export in ERPExport.objects.filter(org=site.org, status=ExportStatus.SENT):
        flags = os.O_WRONLY | os.O_CREAT
        with os.fdopen(os.open(f"ack_{export.filename}", flags, dir_fd=folder), "wb") as file:
            file.write(ACKED)


def without_circuit(site) -> None:
    ERPConnection.objects.filter(pk=site.connection.pk).update(
        circuit_opened_at=None, circuit_reason=None, retry_at=None
    )


@pytest.mark.parametrize("place", ["{acks}", "{acks}/", "{acks}/processed", "{acks}/..", "{link}"])
def test_nobody_sets_up_to_read_another_orgs_answers(make_site, tmp_path, place):
    mine, theirs = make_site(), make_site()
    (tmp_path / "link").symlink_to(theirs.acks)
    folder = os.path.normpath(place.format(acks=theirs.acks, link=tmp_path / "link"))

    with pytest.raises(ConfigError) as refused:
        change_connection(mine.connection.pk, actor=None, config=config_of(mine, ack_path=folder))

    assert refused.value.problems.keys() == {"ack_path"}
    assert theirs.org.name not in str(refused.value)
    change_connection(theirs.connection.pk, actor=None, status=ConnectionStatus.DISABLED)
    change_connection(mine.connection.pk, actor=None, config=config_of(mine, ack_path=folder))
    with pytest.raises(ConfigError):
        change_connection(theirs.connection.pk, actor=None, status=ConnectionStatus.ACTIVE)


def test_a_new_connection_is_asked_the_same(make_site):
    theirs, org = make_site(), factories.org()

    with pytest.raises(ConfigError):
        create_connection(org, "DROPZONE_JSON_V1", config_of(theirs), actor=None)

    assert not ERPConnection.objects.for_org(org).exists()


@pytest.mark.timeout(20)
def test_pipes_and_devices_named_like_answers_go_to_error_and_hold_up_nobody(site):
    (export,) = sent(site)
    os.mkfifo(site.acks / "ack_pipe.json")
    (site.acks / "ack_loop.json").symlink_to(site.acks / "ack_loop.json")
    (site.acks / "ack_zero.json").symlink_to("/dev/zero")
    site.answer(f"ack_{export.filename}", ACKED)

    for _ in range(3):
        poll(site.connection.pk)

    assert set(AckFile.objects.values_list("name", "status")) == {
        (f"ack_{export.filename}", AckFileStatus.APPLIED),
        *((f"ack_{name}.json", AckFileStatus.MALFORMED) for name in ("pipe", "loop", "zero")),
    }
    assert sorted(path.name for path in site.acks.iterdir()) == ["error", "processed"]


def test_a_changed_root_is_noticed_by_the_next_use(site, settings, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    assert all(step.ok for step in run_test(site.connection.pk, actor=None))
    settings.DROPZONE_ROOTS = [str(tmp_path / "elsewhere")]

    with pytest.raises(Fault) as refused:
        list(open_transport(dropzone_of(site.connection)).list(str(site.acks)))

    assert refused.value.code == "OUTSIDE_ROOTS"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DROPZONE_ROOTS", ["/srv/{slug}"], "erp_connectors.E003"),
        ("DROPZONE_ROOTS", ["/srv/{org}"], None),
        ("SFTP_ALLOWED_HOSTS", ["erp.example.com", "10.0.0.0/33"], "erp_connectors.E004"),
        ("SFTP_ALLOWED_HOSTS", ["erp.example.com", "10.0.0.0/8", "::1"], None),
    ],
)
def test_a_wall_with_a_typing_mistake_stops_the_start(settings, name, value, found):
    setattr(settings, name, value)

    told = [*checks.places_in_roots(None), *checks.allowed_hosts(None)]

    assert [message.id for message in told] == ([found] if found else [])


class TestSharedFolders:
    """On this host all orgs' files are read by one user, so an org must not name another org's folder as its own."""

    @pytest.mark.parametrize(
        ("key", "folder", "changes"),
        [
            ("export_path", "inbox", {}),
            ("export_path", "inbox", {"ack_path": None}),
            ("export_path", "acks", {}),
            ("ack_path", "acks", {}),
            ("ack_path", "inbox", {}),
        ],
    )
    @pytest.mark.parametrize("form", ["{}", "/{}", "{}/", "{}/.", "link"])
    def test_a_folder_of_another_org_is_refused(self, make_site, tmp_path, key, folder, changes, form):
        mine, theirs = make_site(), make_site()
        (tmp_path / "link").symlink_to(getattr(theirs, folder))
        path = str(tmp_path / "link") if form == "link" else form.format(getattr(theirs, folder))
        config = config_of(mine, **changes) | {key: path}

        with pytest.raises(ConfigError) as refused:
            change_connection(mine.connection.pk, actor=None, config=config)
        with pytest.raises(ConfigError):
            create_connection(mine.org, "DROPZONE_JSON_V1", config, actor=None)

        assert set(refused.value.problems) == {key}
        assert refused.value.problems[key].code == "config.folder_in_use"

    def test_folders_of_one_org_and_of_disabled_connections_are_free(self, make_site):
        mine, theirs = make_site(), make_site()
        change_connection(theirs.connection.pk, actor=None, status=ConnectionStatus.DISABLED)

        for folder in (mine.inbox, theirs.inbox):
            config = config_of(mine, export_path=str(folder), ack_path=str(folder))
            change_connection(mine.connection.pk, actor=None, config=config)

    def test_a_connection_that_shares_a_folder_already_can_be_changed_but_not_activated(self, make_site):
        mine, theirs = make_site(), make_site()
        store(mine, export_path=str(theirs.inbox))
        config = config_of(mine, export_path=str(theirs.inbox), ack_timeout=60)

        for site, changes in ((mine, config), (theirs, config_of(theirs, ack_timeout=60))):
            changed = change_connection(site.connection.pk, actor=None, config=changes)
            assert changed.config["ack_timeout"] == 60
        for changes in ({"ack_path": str(theirs.acks)}, {"export_path": str(theirs.acks)}):
            with pytest.raises(ConfigError):
                change_connection(mine.connection.pk, actor=None, config=config | changes)

        change_connection(mine.connection.pk, actor=None, status=ConnectionStatus.DISABLED)
        change_connection(mine.connection.pk, actor=None, config=config | {"ack_timeout": 90})
        with pytest.raises(ConfigError):
            change_connection(mine.connection.pk, actor=None, status=ConnectionStatus.ACTIVE)

    def test_a_folder_beside_or_around_that_of_another_org_is_free(self, make_site):
        mine, theirs = make_site(), make_site()
        for path in (theirs.inbox.parent, theirs.inbox / "deeper", f"{theirs.inbox}2"):
            change_connection(mine.connection.pk, actor=None, config=config_of(mine, export_path=str(path)))


@pytest.mark.parametrize("form", ["{}", "/{}", "{}//", "{}/./"])
def test_a_folder_on_this_host_has_one_path(make_site, form):
    site = make_site()
    plain = dropzone_of(site.connection)

    store(site, export_path=form.format(site.inbox), ack_path=form.format(site.acks))

    assert dropzone_of(site.connection) == plain


def test_reconcile_does_not_show_another_orgs_files_in_a_shared_folder(make_site):
    mine, theirs = make_site(), make_site()
    (export,) = sent(theirs)
    store(mine, export_path=f"/{theirs.inbox}")

    assert reconcile(mine.connection.pk).findings == []

    ERPExport.objects.filter(pk=export.pk).update(
        status=ExportStatus.PENDING, staged_at=None, staged_destination=""
    )
    assert reconcile(mine.connection.pk).findings == []
