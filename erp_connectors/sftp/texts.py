"""Texts of errors as data: a code with parameters. `TEMPLATES` has the English text of each code.

Each is a whole sentence, except `ssh.by_…`, which are parameters of other texts, and `ssh.status`.

Users of the engine may translate the templates. Text of a server is a parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Param: TypeAlias = "str | int | Text"

# Characters of a parameter that are kept.
MAX_TEXT = 1_500

_KINDS = "Only Ed25519, ECDSA and RSA keys can be used."
_COSTLY = "The passphrase of the key is hashed so often that unlocking it would take minutes."

TEMPLATES: dict[str, str] = {
    "ssh.error": "%(error)s.",
    "ssh.not_a_host_name": "%(host)s is not a host name.",
    "ssh.name_not_found": "%(host)s: %(error)s.",
    "ssh.refused": "%(address)s.",
    "ssh.refused_with_error": "%(address)s: %(error)s.",
    "ssh.no_connection_in_time": "No connection to %(address)s within %(seconds)s s.",
    "ssh.no_handshake_in_time": "No SSH handshake within %(seconds)s s.",
    "ssh.no_login_in_time": "No answer to the login within %(seconds)s s.",
    "ssh.no_channel_in_time": "No answer to the request for a channel within %(seconds)s s.",
    "ssh.no_sftp_in_time": "No answer to the request for SFTP within %(seconds)s s.",
    "ssh.no_answer_in_time": "No answer within %(seconds)s s.",
    "ssh.not_all_answers_in_time": "Each answer came in time, but not all of them within %(seconds)s s.",
    "ssh.nothing_read_in_time": "The server read nothing for %(seconds)s s.",
    "ssh.no_forwarding_in_time": "It did not connect to %(address)s within %(seconds)s s.",
    "ssh.no_proxy_answer_in_time": "No complete reply within %(seconds)s s.",
    "ssh.at_jump_host": "This is about the jump host %(address)s.",
    "ssh.at_proxy": "This is about the proxy %(address)s.",
    "ssh.forwarding": "Connection to %(address)s: %(error)s.",
    "ssh.proxy_closed": "It closed the connection without a reply.",
    "ssh.proxy_reply_cut_off": "It closed the connection in the middle of its reply.",
    "ssh.proxy_reply_too_long": "Its reply does not end.",
    "ssh.proxy_not_http": "It does not reply with HTTP.",
    "ssh.proxy_not_socks": "It does not reply with SOCKS version 5.",
    "ssh.proxy_wants_login": "It requires a user name and a password.",
    "ssh.proxy_offers_logins": "It offers only these kinds of login: %(methods)s. Only Basic can be used.",
    "ssh.proxy_no_method": "It accepts neither a login with user name and password nor one without.",
    "ssh.proxy_wrong_login": "It refused the user name or the password.",
    "ssh.socks_failure": "It reports a general failure for %(address)s.",
    "ssh.socks_forbidden": "Its rules do not allow a connection to %(address)s.",
    "ssh.socks_no_network": "It cannot reach the network of %(address)s.",
    "ssh.socks_no_host": "It cannot reach the host of %(address)s, or does not know its name.",
    "ssh.socks_refused": "%(address)s refused the connection.",
    "ssh.socks_expired": "The connection to %(address)s was not made in time.",
    "ssh.socks_no_command": "It does not make TCP connections; it refused %(address)s.",
    "ssh.socks_no_address_type": "It does not accept this kind of address: %(address)s.",
    "ssh.socks_unknown": "It replies to %(address)s with the unknown code %(code)s.",
    "ssh.closed_by_server": "The server closed the connection.",
    "ssh.channel_closed": "The channel was closed.",
    "ssh.not_connected": "There is no connection.",
    "ssh.in_handshake": "This happened during the SSH handshake.",
    "ssh.in_login": "This happened during the login.",
    "ssh.after_login": "This happened after the login.",
    "ssh.usual_port_of_web": "Port %(port)s is usually a web server's.",
    "ssh.usual_port_of_ftp": "Port %(port)s is usually an FTP server's.",
    "ssh.usual_port_of_ftps": "Port %(port)s is usually an FTPS server's.",
    "ssh.says": "It says: “%(greeting)s”.",
    "ssh.sends_tls": "It answers with a TLS record.",
    "ssh.sends_no_ssh": "It sends data that is not SSH.",
    "ssh.greets_otherwise": "It greets with something other than SSH.",
    "ssh.closed_before_greeting": "The connection was closed before the greeting.",
    "ssh.offers": "The server offers: key exchange: %(key_exchanges)s; host keys: %(host_keys)s; ciphers: %(ciphers)s; "
    "MACs: %(macs)s.",
    "ssh.presents": "The server presents %(key)s.",
    "ssh.presents_other": "The server presents %(key)s; pinned is %(pinned)s.",
    "ssh.counts_from": "The server presents %(key)s, which was announced and is valid only from %(day)s (UTC).",
    "ssh.counts_until": "The server presents %(key)s, which was announced and is valid only until %(day)s (UTC).",
    "ssh.not_a_public_key": "“%(line)s” is not a public key like “ssh-ed25519 AAAA…”.",
    "ssh.login_refused": "User %(user)s: %(error)s.",
    "ssh.password_expired": "User %(user)s: the server asks for a new password, so the present one has expired.",
    "ssh.key_unused": "The server does not ask for a key.",
    "ssh.offers_methods": "The server offers only: %(methods)s.",
    "ssh.wants_more": "The server accepted %(accepted)s, but also requires: %(methods)s.",
    "ssh.refused_second": "The server accepted %(accepted)s, but not %(refused)s.",
    "ssh.by_key": "the key %(key)s",
    "ssh.by_password": "the password",
    "ssh.by_questions": "the password (keyboard-interactive)",
    "ssh.by_key_and_password": "the key %(key)s and the password",
    "ssh.asks": "The server asks for %(questions)s, and only a single hidden question is answered, with the password.",
    "ssh.key_type_refused": "The key is of the type %(type)s (%(signatures)s); the server accepts only: %(accepted)s.",
    "ssh.key_needs_sha1": "The key is of the type ssh-rsa; an old server may accept such keys only with SHA-1, which"
    " is not used.",
    "ssh.key_public": "It is a public key; the private key is needed.",
    "ssh.key_not_private": "The text does not look like a private key (-----BEGIN … PRIVATE KEY-----, or "
    "PuTTY-User-Key-File-…).",
    "ssh.key_passphrase_missing": "The key is encrypted and its passphrase is missing.",
    "ssh.key_passphrase_wrong": "The passphrase is wrong.",
    "ssh.key_passphrase_wrong_or_damaged": "The passphrase is wrong, or the key is damaged.",
    "ssh.key_damaged": "The text is damaged; paste the whole file.",
    "ssh.key_unknown_kind": "The key is of a kind or curve that SSH does not know.",
    "ssh.key_other_kind": _KINDS,
    "ssh.key_of_kind": "It is a key of the type %(type)s. " + _KINDS,
    "ssh.key_costly": _COSTLY + " Write it anew with 'ssh-keygen -p -a 100'.",
    "ssh.key_costly_putty": _COSTLY + " Save it again with PuTTYgen's own parameters.",
    "ssh.key_putty_version": "The key is in version %(version)s of PuTTY's format; open it in a current PuTTYgen and "
    "save it again.",
    "ssh.key_putty_encryption": "The key is encrypted in a way that PuTTY does not use.",
    "ssh.not_sftp": "The reply is not SFTP.",
    "ssh.version": "The server speaks version %(version)s.",
    "ssh.no_version": "The server did not answer with its version.",
    "ssh.no_algorithms": "The server's first packet does not list its algorithms.",
    "ssh.packet_size": "The server announced a packet of %(size)s bytes.",
    "ssh.packet_too_short": "A packet is too short to be a reply.",
    "ssh.packet_cut_off": "A packet ends in the middle of a value.",
    "ssh.packet_of_unknown_type": "The server sent a packet of unknown type %(type)s.",
    "ssh.handle_size": "The server named a file by %(size)s bytes.",
    "ssh.handle_reused": "The server gave two open files the same handle.",
    "ssh.reply_unasked": "The server answered a request that was never made.",
    "ssh.reply_of_other_kind": "The server answered a request with a reply of another kind.",
    "ssh.tiny_reads": "The server sends a file in very small parts.",
    "ssh.endless_listing": "The list of the folder did not end after %(names)s names.",
    "ssh.endless_listing_in_time": "The list of the folder did not end within %(seconds)s s.",
    "ssh.status": "status %(status)s: %(says)s",
}


@dataclass(frozen=True, slots=True, init=False)
class Text:
    """A template's code and its parameters. They can be shown and stored, and never hold a secret.

    Long parameters are cut: remove secrets before, since a part of one is not found.
    """

    code: str
    params: Mapping[str, Param]

    def __init__(self, code: str, /, **params: Param) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(
            self,
            "params",
            {
                name: showable(value, MAX_TEXT) if isinstance(value, str) else value
                for name, value in params.items()
            },
        )

    def __str__(self) -> str:
        return TEMPLATES[self.code] % {name: str(value) for name, value in self.params.items()}


def sentence_of(error: Exception | str) -> tuple[Text, ...]:
    """Return the text of a library's error or of a server as a sentence; nothing if it is empty."""
    text = str(error).rstrip(". ")
    return (Text("ssh.error", error=text),) if text else ()


def seconds(value: float) -> str:
    return f"{value:g}"


def showable(text: str, most: int) -> str:
    """Return the text without control characters, cut to a length."""
    shown = text[:most]
    if not shown.isprintable():
        shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in shown)
    return f"{shown}…" if len(text) > most else shown
