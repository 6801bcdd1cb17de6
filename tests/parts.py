"""What a test does when a part of the world it needs is not there."""

import os
import shutil
from typing import NoReturn

import pytest


def skip_or_fail(part: str, remedy: str) -> NoReturn:
    """Skip the test, saying how to get the part; with REQUIRE_ALL=1 (as CI sets it) fail instead."""
    reason = f"{part} is missing; to run this test: {remedy}"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_program(name: str, remedy: str) -> str:
    """The program's path; looks in the sbin folders too, which a user's PATH may lack."""
    return find_program(name) or skip_or_fail(name, remedy)


def find_program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
