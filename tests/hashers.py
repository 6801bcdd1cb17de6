"""A password hasher that lets a test change something while a login is checking the password."""

from collections.abc import Callable
from typing import ClassVar

from django.contrib.auth.hashers import MD5PasswordHasher


class Meanwhile(MD5PasswordHasher):
    """Runs ``then`` once, after a password was found right and before the login goes on."""

    then: ClassVar[Callable[[], object] | None] = None
    renews: ClassVar[bool] = False

    def verify(self, password: str, encoded: str) -> bool:
        right = super().verify(password, encoded)
        change, Meanwhile.then = Meanwhile.then, None
        if right and change is not None:
            change()
        return right

    def must_update(self, decoded: str) -> bool:
        return self.renews or super().must_update(decoded)
