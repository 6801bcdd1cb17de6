"""Charts as geometry, which a template writes as SVG and as a table. Colours are the style sheet's, by series."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 76, 8, 14, 40
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
BAR_SHARE = 0.68
EVERY, EVERY_ON_PHONES = 2, 4  # a label of each bar would run into the next
Formatter = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """``name`` is its CSS class; a value is None where there is nothing to show."""

    name: str
    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar of a series, or a dot where ``height`` is "0". Numbers are texts: a template would localise them."""

    series: str
    x: str
    y: str
    width: str
    height: str
    description: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: str
    text: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Polyline:
    series: str
    points: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    key: str
    title: str
    series: Sequence[Series]
    bars: Sequence[Mark] = ()
    lines: Sequence[Polyline] = ()
    dots: Sequence[Mark] = ()
    across: Sequence[Tick]
    up: Sequence[Tick]
    rows: Sequence[tuple[str, Sequence[str]]]

    left, right = str(LEFT), str(WIDTH - RIGHT)
    label_x, label_y = str(LEFT - 8), str(HEIGHT - 14)
    view_box = f"0 0 {WIDTH} {HEIGHT}"

    @property
    def empty(self) -> bool:
        return not (self.bars or self.dots)


def stacked(
    key: str, title: str, labels: Sequence[str], series: Sequence[Series], *, format_value: Formatter = str
) -> Chart:
    """A bar for each label, the first series at its foot."""
    totals = [sum(one.values[n] or 0 for one in series) for n in range(len(labels))]
    top = nice_top(max(totals, default=0))
    return Chart(
        key=key,
        title=title,
        series=series,
        bars=list(_bars(labels, series, top, format_value)),
        across=_across(labels),
        up=_up([top * n / 4 for n in range(5)] if top % 4 == 0 else [0, top / 2, top], top, format_value),
        rows=_rows(labels, series, format_value),
    )


def lines(
    key: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    format_value: Formatter,
    steps: Sequence[float],
) -> Chart:
    """A line for each series, broken where it has no value; ``steps``: where the axis may end."""
    highest = max((value for one in series for value in one.values if value is not None), default=0)
    top = next((step for step in steps if step >= highest), highest)
    return Chart(
        key=key,
        title=title,
        series=series,
        lines=[line for one in series for line in _pieces(one, len(labels), top)],
        dots=list(_dots(labels, series, top, format_value)),
        across=_across(labels),
        up=_up([0, top / 2, top], top, format_value),
        rows=_rows(labels, series, format_value),
    )


def nice_top(highest: float) -> int:
    """A round number that is no smaller, and can be halved."""
    size = 1
    while True:
        for step in (2, 4, 6, 8, 10):
            if step * size >= highest:
                return step * size
        size *= 10


def _bars(
    labels: Sequence[str], series: Sequence[Series], top: float, format_value: Formatter
) -> Iterator[Mark]:
    room = PLOT_WIDTH / max(len(labels), 1)
    width = room * BAR_SHARE
    for n, label in enumerate(labels):
        below = 0.0
        for one in series:
            value = one.values[n] or 0
            if value:
                height, x = PLOT_HEIGHT * value / top, LEFT + room * n + (room - width) / 2
                y = _height_at(below + value, top)
                description = f"{label}: {format_value(value)} {one.label}"
                yield Mark(one.name, _number(x), _number(y), _number(width), _number(height), description)
                below += value


def _dots(
    labels: Sequence[str], series: Sequence[Series], top: float, format_value: Formatter
) -> Iterator[Mark]:
    for one in series:
        for n, value in enumerate(one.values):
            if value is not None:
                description = f"{labels[n]}: {one.label} {format_value(value)}"
                x, y = _number(_middle(n, len(labels))), _number(_height_at(value, top))
                yield Mark(one.name, x, y, "0", "0", description)


def _pieces(one: Series, count: int, top: float) -> Iterator[Polyline]:
    for (n, before), (_, after) in pairwise(enumerate(one.values)):
        if before is not None and after is not None:
            ends = ((n, before), (n + 1, after))
            points = (f"{_number(_middle(m, count))},{_number(_height_at(v, top))}" for m, v in ends)
            yield Polyline(one.name, " ".join(points))


def _across(labels: Sequence[str]) -> list[Tick]:
    last = len(labels) - 1
    return [
        Tick(_number(_middle(n, len(labels))), label, minor=(last - n) % EVERY_ON_PHONES != 0)
        for n, label in enumerate(labels)
        if (last - n) % EVERY == 0
    ]


def _up(values: Sequence[float], top: float, format_value: Formatter) -> list[Tick]:
    return [Tick(_number(_height_at(value, top)), format_value(value)) for value in values]


def _rows(
    labels: Sequence[str], series: Sequence[Series], format_value: Formatter
) -> list[tuple[str, Sequence[str]]]:
    return [
        (label, ["-" if (value := one.values[n]) is None else format_value(value) for one in series])
        for n, label in enumerate(labels)
    ]


def _middle(n: int, count: int) -> float:
    return LEFT + PLOT_WIDTH / count * (n + 0.5)


def _height_at(value: float, top: float) -> float:
    return TOP + PLOT_HEIGHT * (1 - value / top) if top else TOP + PLOT_HEIGHT


def _number(value: float) -> str:
    return f"{value:.1f}"
