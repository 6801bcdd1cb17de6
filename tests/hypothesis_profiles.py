"""How many examples a property is tried with; HYPOTHESIS_PROFILE chooses: `everyday` (default), `deep` or `fuzz`.

The first two try the same examples each time, so that a failure is the change's. `make fuzz` tries new ones each time.
On PostgreSQL `deep` tries the everyday number: SQLite's run of the same tier looks for odd input.
"""

import os

from hypothesis import HealthCheck, settings

PROFILES = {"everyday": 20, "deep": 100, "fuzz": 2000}


def load(database: str) -> None:
    for name, max_examples in PROFILES.items():
        settings.register_profile(
            name,
            max_examples=max_examples,
            derandomize=name != "fuzz",
            database=None,
            deadline=None,  # a busy machine is not a failure
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
    name = os.environ.get("HYPOTHESIS_PROFILE", "everyday")
    settings.load_profile("everyday" if (name, database) == ("deep", "postgres") else name)


def examples(share: float) -> int:
    """Return a share of the profile's number, for a property whose examples take long."""
    return max(1, int(settings.default.max_examples * share))
