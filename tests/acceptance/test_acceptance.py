"""The acceptance kit: what a good dropzone passes, and that each promise, when broken, is noticed."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from erp_connectors.acceptance.fault_injection import FaultInjectingTransport, FaultPlan
from erp_connectors.acceptance.scenario import BadScenario, load
from erp_connectors.acceptance.verdict import PROMISES
from erp_connectors.faults import CONNECTION_LOST, DISK_FULL, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.port_types import Move, Upload
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.simulated_erp import SimulatedErp
from erp_connectors.transports.base import Presences, TransportPolicy
from erp_connectors.transports.filesystem import FilesystemOptions, FilesystemTransport
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.conftest import Site

SHIPPED = Path(__file__).resolve().parents[2] / "docs" / "new-tenant.toml"
BUSY = """
title = "All of it"
[[days]]
name = "a bad day"
orders = 6
refuse_rate = 0.4
truncate_rate = 0.5
duplicate_rate = 0.5
lost = 0.3
disk_full = 1
twice = true
"""
QUIET = 'title = "Quiet"\n[[days]]\nname = "a normal day"\norders = 3\n'


@pytest.fixture
def at(site: Site, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    factories.user(site.org, Role.OPS)

    def run(scenario: str, *options: str) -> tuple[int, str]:
        path, out = tmp_path / "scenario.toml", StringIO()
        path.write_text(scenario)
        try:
            call_command(
                "simulate_erp",
                "--connection",
                str(site.connection.pk),
                "--scenario",
                str(path),
                *options,
                stdout=out,
            )
        except SystemExit as end:
            return int(end.code or 0), out.getvalue()
        return 0, out.getvalue()

    return run


def test_a_day_on_which_everything_goes_wrong_is_passed(at: Callable[..., tuple[int, str]]) -> None:
    code, said = at(BUSY, "--json")

    day = json.loads(said)
    assert (code, day["broken"]) == (0, {})
    assert day["accepted"] + day["refused"] == day["orders"] == 6
    assert day["broken_links"] > 0
    assert day["disk_full"] == 1
    assert DraftOrder.objects.count() == ERPExport.objects.count() == 6


def test_a_day_on_which_everything_is_refused_is_passed(at: Callable[..., tuple[int, str]]) -> None:
    code, said = at(QUIET + "refuse_rate = 1.0\n", "--json")

    day = json.loads(said)
    assert (code, day["broken"], day["accepted"], day["refused"]) == (0, {}, 0, 3)


def test_the_verdict_lists_days_and_promises_and_has_a_line_to_sign(
    at: Callable[..., tuple[int, str]],
) -> None:
    code, said = at(QUIET)

    assert code == 0
    assert [line for line in said.splitlines() if line.startswith("yes ")] == [
        f"yes  {one}" for one in PROMISES
    ]
    assert "Verdict: PASSED, 3 orders in 1 days" in said
    assert "Accepted by: ____" in said


@pytest.mark.parametrize(
    ("sabotage", "promise"),
    [
        ("takes a copy again", PROMISES[0]),
        ("alters a file", PROMISES[1]),
        ("answers nothing", PROMISES[2]),
        ("leaves a file", PROMISES[3]),
    ],
)
def test_a_promise_that_is_broken_is_noticed(
    at: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    site: Site,
    sabotage: str,
    promise: str,
) -> None:
    step = SimulatedErp.step

    def spoilt(erp: SimulatedErp, now: Any) -> Any:
        files = [path for path in site.inbox.iterdir() if path.suffix == ".json"]
        for path in files[:1]:
            if sabotage == "takes a copy again":
                path.with_name(path.name.replace("sales", "copy_of_sales")).write_bytes(path.read_bytes())
            if sabotage == "alters a file":
                path.write_bytes(path.read_bytes().replace(b"TEST", b"BEST", 1))
        happened = step(erp, now)
        if sabotage == "answers nothing":
            erp.waiting.clear()
            for path in site.acks.glob("*.json"):
                path.unlink()
        if sabotage == "leaves a file":
            (site.inbox / erp.receipts[0].file).write_bytes(b"{}")
        return happened

    monkeypatch.setattr(SimulatedErp, "step", spoilt)
    limited = f"limit = 2\n{QUIET}" if sabotage == "answers nothing" else QUIET

    code, said = at(limited)

    assert code == 1
    assert f"NO   {promise}" in said
    assert "Verdict: FAILED" in said
    assert "Accepted by" not in said


def test_halves_that_a_full_disk_and_a_broken_line_left_go_with_the_first_order_of_the_next_day(
    at: Callable[..., tuple[int, str]], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = FaultInjectingTransport._remove
    lost = iter([True, True])

    def broken(self: FaultInjectingTransport, paths: Sequence[str]) -> Presences:
        gone = any("sales_order" in path for path in paths) and next(lost, False)
        return [Fault(CONNECTION_LOST) for _ in paths] if gone else remove(self, paths)

    monkeypatch.setattr(FaultInjectingTransport, "_remove", broken)
    code, said = at(QUIET + "disk_full = 1\n")
    assert code == 0, said
    [left] = site.leftovers()
    assert (
        0
        < (site.inbox / left).stat().st_size
        < (ERPExport.objects.get(filename=left[: -len(".1.tmp")]).size or 0)
    )

    ERPConnection.objects.update(last_success_at=timezone.now() - timedelta(days=1))
    push(factories.draft(site.org).pk, actor=None)
    assert deliver(site.connection.pk).sent == 1

    assert site.leftovers() == []


def test_it_keeps_away_from_a_connection_with_real_orders(
    at: Callable[..., tuple[int, str]], site: Site
) -> None:
    push(factories.draft(site.org).pk, actor=None)

    with pytest.raises(CommandError, match="has sent real orders"):
        at(QUIET)


def test_a_dropzone_that_is_not_there_is_said(at: Callable[..., tuple[int, str]], site: Site) -> None:
    site.inbox.rmdir()

    with pytest.raises(CommandError, match="The folder does not exist"):
        at(QUIET)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title = ", "not TOML"),
        ('title = "x"\ndays = []', "length >= 1"),
        (QUIET + "lost = 0.9\n", r"lost"),
        (QUIET + "weather = 'bad'\n", "weather"),
    ],
)
def test_a_scenario_that_is_wrong_is_told_where(
    at: Callable[..., tuple[int, str]], text: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        at(text)


def test_the_scenario_that_comes_with_it_can_be_played() -> None:
    scenario = load(SHIPPED)

    assert len(scenario.days) == 8
    with pytest.raises(BadScenario, match="No such file"):
        load(SHIPPED.with_name("other.toml"))


def test_a_broken_link_leaves_the_last_thing_done_and_unheard_of(tmp_path: Path) -> None:
    heard, done = 0, 0
    for seed in range(30):
        folder = tmp_path / str(seed)
        folder.mkdir()
        inner = FilesystemTransport(FilesystemOptions(), TransportPolicy(dropzone_roots=(str(folder),)))
        line = FaultInjectingTransport(inner, FaultPlan(1.0, 0, random.Random(seed)))
        outcomes = line.stage([Upload(f"{folder}/{n}", b"x") for n in range(5)])
        assert all(outcome is None or outcome.kind is CONNECTION_LOST for outcome in outcomes)
        assert not line.resume()
        heard += sum(outcome is None for outcome in outcomes)
        done += len(list(folder.iterdir()))
    assert 0 < heard < done < 150


def test_a_full_disk_holds_half_a_file_and_says_so(tmp_path: Path) -> None:
    inner = FilesystemTransport(FilesystemOptions(), TransportPolicy(dropzone_roots=(str(tmp_path),)))
    line = FaultInjectingTransport(inner, FaultPlan(0.0, 1, random.Random(1)))

    (outcome,) = line.stage([Upload(f"{tmp_path}/a", b"1234")])

    assert isinstance(outcome, Fault)
    assert outcome.kind is DISK_FULL
    assert (tmp_path / "a").read_bytes() == b"12"
    assert line.stage([Upload(f"{tmp_path}/a", b"1234")]) == [None]
    assert line.publish([Move(f"{tmp_path}/a", f"{tmp_path}/b")]) == [None]
