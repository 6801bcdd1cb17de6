"""A scenario: the days to play, read from a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=600)]
Count = Annotated[int, Meta(ge=1, le=10_000)]


class BadScenario(ValueError):
    """The text names the file and the key."""


class ScenarioDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One day: how many orders, how the ERP behaves, and what goes wrong; shares between 0 and 1.

    ``delay``: seconds that the ERP thinks about each order. ``lost``: share of operations during which the connection
    breaks, before, in the middle of, or after what the server did. ``disk_full``: how often in a row the server has
    no space left. ``twice``: every order is pushed twice, and delivery and poll run twice each time.
    """

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    orders: Count = 10
    refuse_rate: Share = 0.0
    truncate_rate: Share = 0.0
    duplicate_rate: Share = 0.0
    delay: Seconds = 0.0
    lost: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    disk_full: Annotated[int, Meta(ge=0, le=10)] = 0
    twice: bool = False


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: str
    days: Annotated[tuple[ScenarioDay, ...], Meta(min_length=1)]
    seed: str = "acceptance"
    limit: Annotated[float, Meta(gt=0, le=3600)] = 120.0


def load(path: Path) -> Scenario:
    """Raises `BadScenario`."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(raw, Scenario)
    except OSError as error:
        raise BadScenario(f"{path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadScenario(f"{path}: it is not UTF-8.") from None
    except msgspec.ValidationError as error:
        raise BadScenario(f"{path}: {error}. docs/acceptance.md lists the keys.") from None
    except ValueError as error:  # also of a number that is too long to be one
        raise BadScenario(f"{path}: it is not TOML: {error}.") from None
    except RecursionError:
        raise BadScenario(f"{path}: it is nested too deep.") from None
