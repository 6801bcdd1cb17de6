"""What each key of the config is called, means and may be, for forms, API and docs."""

from erp_connectors.connectors.base import ConfigField, Purpose

SFTP, FILESYSTEM = "sftp", "filesystem"
_SFTP_ONLY = (SFTP,)
_WAY, _SERVER, _LOGIN, _FOLDERS, _WRITING, _TIMING, _PLAN, _DATES = (
    "How the dropzone is reached", "Server", "Login", "Folders", "How files are written", "Times",
    "Planned change of keys", "Reminders",
)  # fmt: skip

FIELDS = (
    ConfigField(
        "mode", "string", required=True, default=None, label="Mode", group=_WAY, purpose=Purpose.MODE,
        choices=((SFTP, "SFTP server"), (FILESYSTEM, "Folder on this machine")),
        help="An SFTP server is the usual way. A folder must be on, or mounted on, the machine that OrderFlow runs on.",
    ),
    ConfigField(
        "host", "string", required=True, default=None, modes=_SFTP_ONLY, label="Host", group=_SERVER,
        help="Host name or address of the SFTP server.",
    ),
    ConfigField(
        "port", "integer", required=False, default=22, modes=_SFTP_ONLY, label="Port", group=_SERVER,
        least=1, most=65535, help="Port of the SFTP server.",
    ),
    ConfigField(
        "host_key", "string", required=False, default=None, modes=_SFTP_ONLY, label="Host key", group=_SERVER,
        purpose=Purpose.HOST_KEY, lines=3,
        help="The server's public key(s), one a line, as in known_hosts. Nothing is sent to any other server.",
    ),
    ConfigField(
        "legacy_algorithms", "boolean", required=False, default=False, modes=_SFTP_ONLY, group=_SERVER, rare=True,
        label="Allow outdated algorithms", purpose=Purpose.WEAKENS,
        help="Only for a server that offers nothing current: also use ciphers and checksums that are known to be weak "
        "(CBC, 3DES, SHA-1, MD5). Ask the ERP team for a newer server; until then, orders could be read on their way.",
    ),
    ConfigField(
        "username", "string", required=True, default=None, modes=_SFTP_ONLY, label="User name", group=_LOGIN,
        help="Login name on the SFTP server.",
    ),
    ConfigField(
        "ssh_key", "string", required=False, default=None, secret=True, modes=_SFTP_ONLY, label="Private key",
        group=_LOGIN, purpose=Purpose.PRIVATE_KEY, lines=4,
        help="Private key (Ed25519, ECDSA or RSA; OpenSSH, PEM or PuTTY). Preferred over a password.",
    ),
    ConfigField(
        "ssh_key_passphrase", "string", required=False, default=None, secret=True, modes=_SFTP_ONLY,
        label="Passphrase of the private key", group=_LOGIN, purpose=Purpose.PASSPHRASE,
        help="Passphrase of the private key, if it has one.",
    ),
    ConfigField(
        "password", "string", required=False, default=None, secret=True, modes=_SFTP_ONLY, label="Password",
        group=_LOGIN, sent_to=("mode", "host", "port", "username"),
        help="Password; with a key only if the server asks for both.",
    ),
    ConfigField(
        "export_path", "string", required=True, default=None, label="Export folder", group=_FOLDERS,
        help="Absolute folder that the ERP reads orders from.",
    ),
    ConfigField(
        "ack_path", "string", required=False, default=None, label="Ack folder", group=_FOLDERS,
        help="Absolute folder that the ERP writes its answers to; without it nothing is polled.",
    ),
    ConfigField(
        "atomic_write", "boolean", required=False, default=True, label="Temporary name, then rename",
        group=_WRITING, rare=True,
        help="Write a temporary file, then rename it: each order appears exactly once and whole. Off: it is written "
        "under its final name, at least once, and a reader may see part of it.",
    ),
    ConfigField(
        "done_marker", "boolean", required=False, default=False, label="Marker after each file", group=_WRITING,
        rare=True,
        help="After each file, write an empty one named {filename}.done, for an ERP that reads a file only once its "
        "marker is there. With atomic_write off, such an ERP never sees part of a file either.",
    ),
    ConfigField(
        "file_mode", "string", required=False, default=None, label="Permission bits", group=_WRITING, rare=True,
        help="Permission bits of the published file in octal, like 0640.",
    ),
    ConfigField(
        "connect_timeout", "number", required=False, default=10.0, modes=_SFTP_ONLY, label="Connect within",
        group=_TIMING, rare=True, most=600, help="Seconds to wait for the connection and the login.",
    ),
    ConfigField(
        "io_timeout", "number", required=False, default=30.0, modes=_SFTP_ONLY, label="Answer within",
        group=_TIMING, rare=True, most=600, help="Seconds to wait for each answer of the server.",
    ),
    ConfigField(
        "ack_timeout", "integer", required=False, default=None, label="Overdue after", group=_TIMING, rare=True,
        least=60, most=31 * 86400, help="Seconds after which a sent order without an answer counts as overdue.",
    ),
    ConfigField(
        "next_ssh_key", "string", required=False, default=None, secret=True, modes=_SFTP_ONLY, rare=True, lines=4,
        label="New private key", group=_PLAN, purpose=Purpose.NEXT_PRIVATE_KEY,
        help="Offered to the server before the present key, at every login. Once the server accepts it, the present "
        "key is dropped. Until then orders go out with the present one.",
    ),
    ConfigField(
        "next_host_key", "string", required=False, default=None, modes=_SFTP_ONLY, rare=True, lines=3,
        label="The server's next host key", group=_PLAN, purpose=Purpose.NEXT_HOST_KEY,
        help="Public key(s) that the ERP's side has announced, compared by fingerprint. On its first use it takes the "
        "place of the pinned one.",
    ),
    ConfigField(
        "next_host_key_from", "date", required=False, default=None, modes=_SFTP_ONLY, rare=True,
        label="It counts from", group=_PLAN, help="First day (UTC) on which the server may use it; empty: now.",
    ),
    ConfigField(
        "next_host_key_until", "date", required=False, default=None, modes=_SFTP_ONLY, rare=True,
        label="Change completed by", group=_PLAN, purpose=Purpose.ENDS_PLAN,
        help="Last day (UTC) on which both keys count. After it only the one that the server uses is accepted; empty: "
        "the old one goes on the new one's first use.",
    ),
    ConfigField(
        "old_host_key", "string", required=False, default=None, modes=_SFTP_ONLY, rare=True, lines=3,
        label="The server's old host key", group=_PLAN, purpose=Purpose.NEXT_HOST_KEY,
        help="Still accepted after a planned change, for servers behind one name that change one after the other.",
    ),
    ConfigField(
        "old_host_key_until", "date", required=False, default=None, modes=_SFTP_ONLY, rare=True,
        label="The old one counts until", group=_PLAN, help="Last day (UTC) on which the old key is accepted.",
    ),
    ConfigField(
        "ssh_key_expires", "date", required=False, default=None, modes=_SFTP_ONLY, rare=True, group=_DATES,
        label="Our key runs out on", purpose=Purpose.EXPIRES,
        help="The overview reminds of it in time. Nothing is switched off on that day.",
    ),
    ConfigField(
        "password_expires", "date", required=False, default=None, modes=_SFTP_ONLY, rare=True, group=_DATES,
        label="The password runs out on", purpose=Purpose.EXPIRES,
        help="The overview reminds of it in time. Nothing is switched off on that day.",
    ),
    ConfigField(
        "host_key_expires", "date", required=False, default=None, modes=_SFTP_ONLY, rare=True, group=_DATES,
        label="The server's host key runs out on", purpose=Purpose.EXPIRES,
        help="The overview reminds of it in time. Nothing is switched off on that day.",
    ),
)  # fmt: skip
