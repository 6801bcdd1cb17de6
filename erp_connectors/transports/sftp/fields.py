"""Fields of the SFTP transport: labels, help texts and limits."""

from erp_connectors.config_fields import DATES, HOP, LOGIN, PLAN, SERVER, TIMING, ConfigField, Purpose
from erp_connectors.transports.sftp.options import HopKind

VIA = "via"
DIRECT = "direct"
_ANY_HOP = (VIA, tuple(HopKind))
_JUMP_HOST = (VIA, (HopKind.JUMP_HOST,))
# They decide which machine is the server: behind another jump host or proxy, the same name may be another machine.
_PLACE = ("mode", VIA, "via_host", "via_port", "host", "port")

FIELDS = (
    ConfigField(
        "host", "string", required=True, default=None, label="Host", group=SERVER,
        help="Host name or address of the SFTP server.",
    ),
    ConfigField(
        "port", "integer", required=False, default=22, label="Port", group=SERVER,
        minimum=1, maximum=65535, help="Port of the SFTP server.",
    ),
    ConfigField(
        "host_key", "string", required=False, default=None, label="Host key", group=SERVER,
        purpose=Purpose.HOST_KEY, lines=3,
        help="The server's public key(s), one a line, as in known_hosts. Nothing is sent to any other server.",
    ),
    ConfigField(
        "legacy_algorithms", "boolean", required=False, default=False, group=SERVER, rare=True,
        label="Allow outdated algorithms", purpose=Purpose.WEAKENS,
        help="Only for a server that offers nothing current: also use ciphers and checksums that are known to be weak "
        "(CBC, 3DES, SHA-1, MD5). Ask the ERP team for a newer server; until then, orders could be read on their way.",
    ),
    ConfigField(
        "username", "string", required=True, default=None, label="User name", group=LOGIN,
        help="Login name on the SFTP server.",
    ),
    ConfigField(
        "ssh_key", "string", required=False, default=None, secret=True, label="Private key",
        group=LOGIN, purpose=Purpose.PRIVATE_KEY, lines=4,
        help="Private key (Ed25519, ECDSA or RSA; OpenSSH, PEM or PuTTY). Preferred over a password.",
    ),
    ConfigField(
        "ssh_key_passphrase", "string", required=False, default=None, secret=True,
        label="Passphrase of the private key", group=LOGIN, purpose=Purpose.PASSPHRASE,
        help="Passphrase of the private key, if it has one.",
    ),
    ConfigField(
        "password", "string", required=False, default=None, secret=True, label="Password",
        group=LOGIN, sent_to=(*_PLACE, "username"),
        help="Password; with a key only if the server asks for both.",
    ),
    ConfigField(
        VIA, "string", required=False, default=DIRECT, label="Connect through", group=HOP,
        choices=(
            (DIRECT, "Directly"),
            (HopKind.JUMP_HOST, "Jump host (SSH)"),
            (HopKind.HTTP_PROXY, "HTTP proxy (CONNECT)"),
            (HopKind.SOCKS5_PROXY, "SOCKS proxy (version 5)"),
        ),
        help="For a server that can't be reached directly. The jump host or proxy looks up the server's name.",
    ),
    ConfigField(
        "via_host", "string", required=False, default=None, label="Host of the jump host or proxy", group=HOP,
        applies_if=_ANY_HOP, help="Host name or address of the jump host or proxy.",
    ),
    ConfigField(
        "via_port", "integer", required=False, default=None, label="Port of the jump host or proxy", group=HOP,
        minimum=1, maximum=65535, applies_if=_ANY_HOP,
        help="If empty: 22 for a jump host, 3128 for an HTTP proxy, 1080 for a SOCKS proxy.",
    ),
    ConfigField(
        "via_host_key", "string", required=False, default=None, label="Host key of the jump host", group=HOP,
        purpose=Purpose.HOP_HOST_KEY, lines=3, applies_if=_JUMP_HOST,
        help="The jump host's public key(s), one a line, as in known_hosts. Nothing is sent to any other jump host.",
    ),
    ConfigField(
        "via_username", "string", required=False, default=None, label="User name on the jump host or proxy", group=HOP,
        applies_if=_ANY_HOP, help="Login name on the jump host or proxy. Empty for a proxy that requires no login.",
    ),
    ConfigField(
        "via_ssh_key", "string", required=False, default=None, secret=True, label="Private key for the jump host",
        group=HOP, purpose=Purpose.HOP_PRIVATE_KEY, lines=4, applies_if=_JUMP_HOST,
        help="Private key (Ed25519, ECDSA or RSA; OpenSSH, PEM or PuTTY). Preferred over a password.",
    ),
    ConfigField(
        "via_ssh_key_passphrase", "string", required=False, default=None, secret=True,
        label="Passphrase of the private key for the jump host", group=HOP, purpose=Purpose.HOP_PASSPHRASE,
        applies_if=_JUMP_HOST, help="Passphrase of the private key, if it has one.",
    ),
    ConfigField(
        "via_password", "string", required=False, default=None, secret=True,
        label="Password on the jump host or proxy", group=HOP, applies_if=_ANY_HOP,
        sent_to=("mode", VIA, "via_host", "via_port", "via_username"),
        help="A proxy gets it unencrypted: use a password for nothing but the proxy.",
    ),
    ConfigField(
        "connect_timeout", "number", required=False, default=10.0, label="Connect timeout",
        group=TIMING, rare=True, maximum=600, help="Seconds to wait for the connection and the login.",
    ),
    ConfigField(
        "io_timeout", "number", required=False, default=30.0, label="Response timeout",
        group=TIMING, rare=True, maximum=600, help="Seconds to wait for each answer of the server.",
    ),
    ConfigField(
        "next_ssh_key", "string", required=False, default=None, secret=True, rare=True, lines=4,
        label="New private key", group=PLAN, purpose=Purpose.NEXT_PRIVATE_KEY,
        help="Offered to the server at each login, before the current key. When the server accepts it, the "
        "current key is dropped. Until then the current key is used.",
    ),
    ConfigField(
        "next_host_key", "string", required=False, default=None, rare=True, lines=3,
        label="The server's next host key", group=PLAN, purpose=Purpose.NEXT_HOST_KEY,
        help="Public key(s) that the ERP team has announced, compared by fingerprint. On first use the new "
        "key replaces the pinned one.",
    ),
    ConfigField(
        "next_host_key_from", "date", required=False, default=None, rare=True,
        label="Valid from", group=PLAN, help="First day (UTC) on which the server may use it. Leave empty for now.",
    ),
    ConfigField(
        "next_host_key_until", "date", required=False, default=None, rare=True,
        label="Change completed by", group=PLAN, purpose=Purpose.ENDS_PLAN,
        help="Last day (UTC) on which both keys are valid. After it, only the key that the server uses is "
        "accepted. If empty, the old key is dropped when the new one is first used.",
    ),
    ConfigField(
        "old_host_key", "string", required=False, default=None, rare=True, lines=3,
        label="The server's old host key", group=PLAN, purpose=Purpose.NEXT_HOST_KEY,
        help="Still accepted after a planned change, if several servers behind one name change one after the other.",
    ),
    ConfigField(
        "old_host_key_until", "date", required=False, default=None, rare=True,
        label="The old key is valid until", group=PLAN, help="Last day (UTC) on which the old key is accepted.",
    ),
    ConfigField(
        "ssh_key_expires", "date", required=False, default=None, rare=True, group=DATES,
        label="Our key expires on", purpose=Purpose.EXPIRES,
        help="The overview shows a reminder before this date. Nothing stops working on that day.",
    ),
    ConfigField(
        "password_expires", "date", required=False, default=None, rare=True, group=DATES,
        label="The password expires on", purpose=Purpose.EXPIRES,
        help="The overview shows a reminder before this date. Nothing stops working on that day.",
    ),
    ConfigField(
        "host_key_expires", "date", required=False, default=None, rare=True, group=DATES,
        label="The server's host key expires on", purpose=Purpose.EXPIRES,
        help="The overview shows a reminder before this date. Nothing stops working on that day.",
    ),
)  # fmt: skip
