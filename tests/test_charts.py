"""Charts: where their marks stand, and what is told beside the picture."""

import pytest

from erp_connectors.admin.overview.chart_geometry import (
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Series,
    lines,
    nice_top,
    stacked,
)
from erp_connectors.admin.overview.charts import STEPS, tick_label

DAYS = ["1 Nov", "2 Nov", "3 Nov", "4 Nov"]


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 2), (1, 2), (3, 4), (7, 8), (9, 10), (11, 20), (45, 60), (99, 100), (101, 200)]
)
def test_an_axis_ends_at_a_round_number_that_holds_everything(highest, top):
    assert nice_top(highest) == top


def test_bars_stand_on_each_other_within_the_picture():
    chart = stacked("k", "K", DAYS, [Series("low", "low", [3, 0, 5, 0]), Series("up", "up", [1, 2, 5, 0])])

    first, above = chart.bars[:2]
    assert (first.series, above.series, first.description) == ("low", "up", "1 Nov: 3 low")
    assert float(above.y) + float(above.height) == pytest.approx(float(first.y), abs=0.2)
    assert len(chart.bars) == 5
    for bar in chart.bars:
        assert LEFT <= float(bar.x) <= float(bar.x) + float(bar.width) <= WIDTH - RIGHT
        assert 0 <= float(bar.y) <= float(bar.y) + float(bar.height) <= HEIGHT
    assert chart.rows[0] == ("1 Nov", ["3", "1"])


def test_a_line_breaks_where_there_is_no_value():
    values = [10.0, None, 30.0, 60.0]
    chart = lines("k", "K", DAYS, [Series("median", "median", values)], format_value=tick_label, steps=STEPS)

    assert len(chart.dots) == 3
    assert len(chart.lines) == 1
    assert [row[1][0] for row in chart.rows] == ["10 s", "-", "30 s", "1 min"]
    assert [tick.text for tick in chart.up] == ["0 s", "30 s", "1 min"]


def test_without_a_value_there_is_no_picture():
    nothing = [Series("median", "median", [None] * 4)]

    assert lines("k", "K", DAYS, nothing, format_value=tick_label, steps=STEPS).empty
    assert stacked("k", "K", DAYS, [Series("low", "low", [0] * 4)]).empty


def test_longer_than_any_step_still_fits():
    chart = lines("k", "K", DAYS, [Series("p95", "p95", [9e9] * 4)], format_value=tick_label, steps=STEPS)

    assert all(float(dot.y) >= 0 for dot in chart.dots)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.4, "0.4 s"), (59, "59 s"), (90, "1.5 min"), (3600, "1 h"), (86_400 * 2.5, "2.5 d")],
)
def test_durations_are_said_in_one_unit(seconds, said):
    assert tick_label(seconds) == said
