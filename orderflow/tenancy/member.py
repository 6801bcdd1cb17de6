"""A user, as far as it decides which rows are visible."""

from typing import Protocol
from uuid import UUID


class Member(Protocol):
    """``org_id`` None: platform staff."""

    @property
    def is_active(self) -> bool: ...
    @property
    def org_id(self) -> UUID | None: ...
