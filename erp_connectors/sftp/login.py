"""Log in with what the server asks for: a key, a password, both in either order, an answer to a question."""

from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from erp_connectors.sftp.errors import ConnectionLost, LoginRefused
from erp_connectors.sftp.hardened_transport import GuardedTransport, KeyTypeRefused
from erp_connectors.sftp.redact import Redact

KEY, PASSWORD, QUESTIONS = "publickey", "password", "keyboard-interactive"
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class LoginMethod:
    """What a server accepted; ``key``: type and fingerprint, empty if it accepted none."""

    key: str
    password: bool


class Login:
    """One login over one connection; not used a second time."""

    def __init__(
        self,
        transport: GuardedTransport,
        username: str,
        *,
        key: paramiko.PKey | None,
        password: str | None,
        hide: Redact = str,
    ) -> None:
        self._transport = transport
        self._username = username
        self._key = key
        self._password = password
        self._hide = hide
        methods = [*([KEY] if key else []), *([PASSWORD, QUESTIONS] if password else [])]
        # Twice, since a server may ask for a method only after another.
        self._tries_left = dict.fromkeys(methods, 2)
        self._asked: Sequence[str] | None = None
        self._unanswered: list[str] = []
        self._password_sent = False
        self.accepted: list[str] = []

    def run(self) -> None:
        """``accepted`` are then the methods that the server accepted, in their order.

        The server decides which are needed: a key that it refuses is not replaced by the password, one that it does
        not ask for is. Raises `LoginRefused`, `ConnectionLost`, and what paramiko raises of the connection.
        """
        while method := self._next():
            self._tries_left[method] -= 1
            try:
                more = self._try(method)
            except paramiko.BadAuthenticationType as error:
                self._asked = error.allowed_types
            except paramiko.AuthenticationException as error:
                raise self._refusal(method, error) from None
            else:
                self.accepted.append(method)
                self._tries_left[method] = 0
                if not more:
                    return
                self._asked = more
        raise LoginRefused(self._hide(self._what_is_missing()))

    @property
    def method(self) -> LoginMethod:
        key = f"{self._key.get_name()} {self._key.fingerprint}" if self._key and KEY in self.accepted else ""
        return LoginMethod(key, password=bool({PASSWORD, QUESTIONS} & {*self.accepted}))

    @property
    def how(self) -> str:
        """The method in English, for errors: ``key ssh-ed25519 SHA256:… and password``."""
        found = self.method
        names = [f"key {found.key}"] if found.key else []
        return " and ".join([*names, "password"] if found.password else names)

    def _next(self) -> str | None:
        """Return the next method that is worth trying; None if there is none."""
        for method, tries_left in self._tries_left.items():
            # A question after the password is for something else, such as a code.
            worth = tries_left and not (method == QUESTIONS and self._password_sent)
            if worth and (self._asked is None or method in self._asked):
                return method
        return None

    def _try(self, method: str) -> list[str]:
        transport, name, key = self._transport, self._username, self._key
        if method == KEY and key is not None:
            return transport.authenticate(lambda handler, event: handler.auth_publickey(name, key, event))
        if method == PASSWORD:
            password = self._password or ""
            more = transport.authenticate(lambda handler, event: handler.auth_password(name, password, event))
            self._password_sent = True
            return more
        return transport.authenticate(
            lambda handler, event: handler.auth_interactive(name, self._answer, event)
        )

    def _answer(self, title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        """The password for a single hidden question. Others get an empty answer, which the server refuses."""
        if len(questions) == 1 and not questions[0][1] and not self._password_sent:
            self._password_sent = True
            return [self._password or ""]
        self._unanswered += [question.strip() for question, _ in questions]
        return [""] * len(questions)

    def _refusal(self, method: str, error: paramiko.AuthenticationException) -> Exception:
        transport = self._transport
        if not (transport.is_active() or transport.denied):
            return ConnectionLost("during the login")
        reasons = [f"User {self._username!r}: {transport.denied or error}"]
        if self.accepted:
            reasons.append(f"It accepted the {self.how}, but not the {self._name(method)}")
        if method == KEY:
            reasons.append(self._about_key_type(error))
        if self._unanswered:
            reasons.append(self._about_questions())
        elif self._asked is not None and not self.accepted:
            reasons.append(self._what_is_missing())
        return LoginRefused(self._hide(". ".join(filter(None, (text.rstrip(".") for text in reasons)))))

    def _about_key_type(self, error: paramiko.AuthenticationException) -> str:
        """Empty unless the type of the key may be the cause."""
        if self._key is None:
            return ""
        kind, listed = self._key.get_name(), self._transport.signatures
        ours = _RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
        if isinstance(error, KeyTypeRefused) or (listed and not {*ours} & {*listed}):
            return f"The key is of the type {kind} ({', '.join(ours)}); the server accepts only: {', '.join(listed)}"
        if kind == "ssh-rsa" and not listed:
            return "The key is of the type ssh-rsa; an old server may know such keys with SHA-1 only, which is not used"
        return ""

    def _about_questions(self) -> str:
        asked = ", ".join(repr(question) for question in self._unanswered)
        return f"It asks for {asked}, and only a single hidden question is answered, with the password"

    def _what_is_missing(self) -> str:
        wanted = ", ".join(self._asked or [])
        if self.accepted:
            return f"After the {self.how} it also wants: {wanted}."
        return f"It offers only: {wanted}."

    def _name(self, method: str) -> str:
        if method == KEY and self._key is not None:
            return f"key {self._key.get_name()} {self._key.fingerprint}"
        return "password" if method == PASSWORD else "password (keyboard-interactive)"
