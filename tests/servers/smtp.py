"""A small real SMTP server, which keeps what it is given and refuses what a test wants refused."""

import base64
import email
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default


@dataclass
class MailServer:
    port: int
    refused: set[str] = field(default_factory=set)
    refuses_all: bool = False
    # With a login that it refuses, saying back what it was told.
    repeats_login: bool = False
    got: list[tuple[str, EmailMessage]] = field(default_factory=list)

    def to(self, address: str) -> list[EmailMessage]:
        return [message for recipient, message in self.got if recipient == address]


class Session(socketserver.StreamRequestHandler):
    mail: MailServer

    def handle(self) -> None:
        self.recipients: list[str] = []
        self.say("220 test ESMTP")
        while line := self.rfile.readline().decode().strip():
            if not self.answer(line):
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def answer(self, line: str) -> bool:
        verb = line.split(maxsplit=1)[0].upper()
        if verb == "QUIT":
            self.say("221 bye")
            return False
        if verb == "EHLO" and self.mail.repeats_login:
            self.say("250-test\r\n250 AUTH PLAIN")
        elif verb == "AUTH":
            _, name, password = base64.b64decode(line.split()[2]).decode().split("\0")
            self.say(f"535 5.7.8 {name} may not log in with {password}")
        elif verb == "DATA":
            self.take()
        elif verb == "MAIL" and self.mail.refuses_all:
            self.say("451 greylisted, try again later")
        elif verb == "RCPT":
            self.recipient(line[line.index("<") + 1 : line.index(">")])
        else:
            self.recipients = [] if verb in ("RSET", "MAIL") else self.recipients
            self.say("250 ok")
        return True

    def recipient(self, address: str) -> None:
        if address in self.mail.refused:
            self.say("550 5.1.1 no such user here")
            return
        self.recipients.append(address)
        self.say("250 ok")

    def take(self) -> None:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = email.message_from_bytes(b"".join(lines), policy=default)
        assert isinstance(message, EmailMessage)
        self.mail.got += [(address, message) for address in self.recipients]
        self.say("250 taken")


@contextmanager
def mail_server() -> Iterator[MailServer]:
    listening = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
    listening.daemon_threads = True
    server = MailServer(listening.server_address[1])
    listening.RequestHandlerClass = type("OfServer", (Session,), {"mail": server})
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
