"""What tests look at on a page of the admin."""

from typing import Any


def levels(answer: Any) -> list[str]:
    """Return the level of each message that the page shows: `success`, `error` and so on."""
    return [message.level_tag for message in answer.context["messages"]]
