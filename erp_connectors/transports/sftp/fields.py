"""Fields of the SFTP transport: labels, help texts and limits."""

from erp_connectors.config_fields import DATES, LOGIN, PLAN, SERVER, TIMING, ConfigField, Purpose

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
        group=LOGIN, sent_to=("mode", "host", "port", "username"),
        help="Password; with a key only if the server asks for both.",
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
