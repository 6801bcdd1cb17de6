"""The points of one undisturbed delivery: a worker is killed, and frozen, at each of them."""

import re

STEPS = (
    "before-open",
    "after-open",
    "before-commit",
    "claimed",
    "before-archiving-2",
    "archived-half",
    "archived-before-commit",
    "before-commit-2",
    "rendered-committed",
    "staged-before-commit",
    "before-commit-3",
    "staged-committed",
    "published-before-commit",
    "before-commit-4",
    "sent-committed",
    "before-commit-5",
    "claimed-2",
    "before-list",
    "before-close",
    "after-close",
)
IN_THE_MIDDLE = {
    "filesystem": ("stage-half-written", "stage-half-written-2", "publish-rename", "publish-rename-2"),
    "openssh": ("stage-half-sent", "stage-half-sent-2", "stage-half-sent-4", "publish-half-sent"),
    "asyncssh": ("stage-half-sent", "stage-half-sent-2", "stage-half-sent-4", "publish-half-sent"),
}
# Nothing happens between these and a point above.
THE_SAME = {
    "before-stage",
    "after-stage",
    "before-publish",
    "after-publish",
    "before-archiving",
    "after-list",
}
# How often a call is cut depends on how it splits what it sends.
REPEATED = re.compile(r"(before-archiving|archived-half|stage-half-\w+|publish-half-sent|publish-rename)-\d+")


def untested(kind: str, passed: list[str]) -> set[str]:
    """Points that a delivery passes and that no cell of the matrix stops at."""
    new = set(passed) - set(STEPS) - set(IN_THE_MIDDLE[kind]) - THE_SAME
    return {point for point in new if not REPEATED.fullmatch(point)}
