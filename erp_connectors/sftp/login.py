"""Log in with what the server asks for: a key, a password, both in either order, an answer to a question."""

from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from erp_connectors.sftp.errors import ConnectionLost, LoginRefused
from erp_connectors.sftp.hardened_transport import GuardedTransport, KeyTypeRefused, PasswordExpired
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.texts import Text

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
        raise LoginRefused(self._missing())

    @property
    def method(self) -> LoginMethod:
        key = f"{self._key.get_name()} {self._key.fingerprint}" if self._key and KEY in self.accepted else ""
        return LoginMethod(key, password=bool({PASSWORD, QUESTIONS} & {*self.accepted}))

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
            return ConnectionLost(Text("ssh.in_login"))
        user = self._hide(self._username)
        if isinstance(error, PasswordExpired):
            reasons = [Text("ssh.password_expired", user=user)]
        else:
            why = self._hide(transport.denied or str(error)).rstrip(".")
            reasons = [Text("ssh.login_refused", user=user, error=why)]
        if self.accepted:
            reasons.append(
                Text("ssh.refused_second", accepted=self._accepted_methods(), refused=self._named(method))
            )
        if method == KEY:
            reasons += self._about_key_type(error)
        if self._unanswered:
            questions = self._hide(", ".join(f"“{one}”" for one in self._unanswered))
            reasons.append(Text("ssh.asks", questions=questions))
        elif self._asked is not None and not self.accepted:
            reasons.append(self._missing())
        return LoginRefused(*reasons)

    def _about_key_type(self, error: paramiko.AuthenticationException) -> list[Text]:
        """Return the text about the type of the key; empty unless it may be the cause."""
        if self._key is None:
            return []
        kind, listed = self._key.get_name(), self._transport.signatures
        ours = _RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
        if isinstance(error, KeyTypeRefused) or (listed and not {*ours} & {*listed}):
            accepted = self._hide(", ".join(listed))
            return [Text("ssh.key_type_refused", type=kind, signatures=", ".join(ours), accepted=accepted)]
        return [Text("ssh.key_needs_sha1")] if kind == "ssh-rsa" and not listed else []

    def _missing(self) -> Text:
        wanted = self._hide(", ".join(self._asked or []))
        if self.accepted:
            return Text("ssh.wants_more", accepted=self._accepted_methods(), methods=wanted)
        return Text("ssh.offers_methods", methods=wanted)

    def _accepted_methods(self) -> Text:
        found = self.method
        if not found.key:
            return Text("ssh.by_password")
        return Text("ssh.by_key_and_password" if found.password else "ssh.by_key", key=found.key)

    def _named(self, method: str) -> Text:
        if method == KEY and self._key is not None:
            return Text("ssh.by_key", key=f"{self._key.get_name()} {self._key.fingerprint}")
        return Text("ssh.by_password" if method == PASSWORD else "ssh.by_questions")
