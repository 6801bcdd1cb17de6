"""Expect a refusal by the code of its message, whatever its text says."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orderflow.messages import Refusal


@contextmanager
def refused(kind: type[Refusal], code: str, **params: Any) -> Iterator[pytest.ExceptionInfo[Any]]:
    """``params``: those of the message's parameters that matter."""
    with pytest.raises(kind) as caught:
        yield caught
    message = caught.value.message
    assert (message.code, {name: message.params[name] for name in params}) == (code, params)
