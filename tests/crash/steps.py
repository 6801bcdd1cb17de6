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
    "before-release",
)
_SFTP = ("stage-half-sent", "stage-half-sent-2", "stage-itself-half-sent", "publish-itself-half-sent")
IN_THE_MIDDLE = {
    "filesystem": ("stage-half-written", "stage-half-written-2", "publish-rename-2", "publish-rename"),
    "openssh": _SFTP,
    "asyncssh": _SFTP,
}
# Nothing happens between these and a point above.
THE_SAME = {
    "before-stage", "after-stage", "before-publish", "after-publish", "before-archiving", "after-list",
    "before-close", "after-close",
}  # fmt: skip
# How often a call is cut depends on how it splits what it sends.
REPEATED = re.compile(
    r"(before-archiving|archived-half|stage-half-written|publish-rename)-\d+|(stage|publish)-(\w+-)?half-sent(-\d+)?"
)


def untested(kind: str, passed: list[str]) -> set[str]:
    """Points that a delivery passes and that no cell of the matrix stops at."""
    new = set(passed) - set(STEPS) - set(IN_THE_MIDDLE[kind]) - THE_SAME
    return {point for point in new if not REPEATED.fullmatch(point)}
