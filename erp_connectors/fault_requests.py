"""Requests to the operator of the ERP's server, by the code of a fault; a hint is addressed to our users."""

from collections.abc import Mapping

REQUESTS: Mapping[str, str] = {
    "CONNECTION_REFUSED": "Please check that your service is up, and tell us its port.",
    "CONNECTION_TIMEOUT": "Please check whether a firewall keeps our address out, and let it in.",
    "CONNECTION_LOST": "Please look into your server's log for the time above: the connection broke off.",
    "SERVER_BUSY": "Please check your server's load and its limit of connections (MaxStartups).",
    "REMOTE_TIMEOUT": "Please check your server's load: it stopped answering.",
    "DISK_FULL": "Please free space on the dropzone's disk, or raise the user's quota.",
    "REMOTE_FAILURE": "Please tell us what your server's log says for the time above.",
    "SIZE_MISMATCH": "Please check the dropzone's disk and quota: a file arrived with another size.",
    "FOLDER_UNSTABLE": "Please do not move or rename the folder, not even for a moment.",
    "HOST_KEY_UNKNOWN": "Please send us the fingerprints of your server's host keys (ssh-keygen -lf).",
    "HOST_KEY_CHANGED": "Please tell us whether you have changed your server's host key, and its fingerprint "
    "(ssh-keygen -lf).",
    "NO_COMMON_ALGORITHM": "Please enable current SSH algorithms; what your server offers is named above.",
    "OUTDATED_ALGORITHMS": "Please enable current SSH algorithms; what your server offers is named above.",
    "WEB_SERVER": "Please tell us the port of your SSH service: a web server answers on this one.",
    "FTP_SERVER": "Please tell us the port of your SSH service: an FTP server answers on this one.",
    "TLS_SERVER": "Please tell us the port of your SSH service: a TLS server answers on this one.",
    "FOLDER_UNAVAILABLE": "Please check that the folder exists, or tell us its right path.",
    "SFTP_VERSION_UNSUPPORTED": "Please enable SFTP version 3; the version that your server speaks is named above.",
    "HANDSHAKE_FAILED": "Please tell us the port of your SSH service: what answers on this one does not speak SSH.",
    "LOGIN_REFUSED": "Please check that this user exists and may log in with the key or password agreed on.",
    "SFTP_UNAVAILABLE": "Please enable the sftp subsystem for this user.",
    "FOLDER_MISSING": "Please create the folder, or tell us its right path.",
    "PERMISSION_DENIED": "Please give this user the right to list, read, write, rename and delete in the folder.",
    "RENAME_UNSUPPORTED": "Please allow this user to rename files.",
    "OPERATION_UNSUPPORTED": "Please enable plain SFTP: reading, writing, listing, deleting and making folders.",
    "NAME_NOT_FOUND": "Please tell us the right host name or address of your server.",
    "BUCKET_MISSING": "Please create the bucket, or tell us its right name.",
    "CLOCK_SKEW": "Please check your server's clock; the difference to ours is named above.",
    "TLS_FAILED": "Please check your server's certificate; the message above says what is wrong with it.",
    "SLOW_DOWN": "Please check your server's load and its limits of requests.",
    "NOT_A_FILE": "Please remove it or move it elsewhere.",
    "TOO_LARGE": "Please write a smaller file.",
}
