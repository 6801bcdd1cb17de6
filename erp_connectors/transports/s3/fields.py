"""Fields of the S3 transport: labels, help texts and limits."""

from erp_connectors.config_fields import LOGIN, SERVER, TIMING, ConfigField

ADDRESSING_STYLES = (
    ("auto", "Automatic"),
    ("path", "Bucket in the path"),
    ("virtual", "Bucket in the host name"),
)
FIELDS = (
    ConfigField(
        "bucket", "string", required=True, default=None, label="Bucket", group=SERVER,
        help="Name of the bucket. The folders below are key prefixes in it: /in stands for keys that begin with in/.",
    ),
    ConfigField(
        "endpoint", "string", required=False, default=None, label="Endpoint", group=SERVER,
        help="URL of the S3 service, such as https://minio.example.com:9000. If empty, Amazon S3 in the given region. "
        "Plain http is accepted only for private addresses.",
    ),
    ConfigField(
        "region", "string", required=False, default="us-east-1", label="Region", group=SERVER,
        help="Region of the bucket, such as eu-central-1. Most services other than Amazon's accept us-east-1.",
    ),
    ConfigField(
        "addressing_style", "string", required=False, default="auto", label="Addressing style", group=SERVER,
        rare=True, choices=ADDRESSING_STYLES,
        help="Where requests name the bucket. Automatic: in the host name for Amazon S3, in the path for all others.",
    ),
    ConfigField(
        "access_key_id", "string", required=True, default=None, label="Access key ID", group=LOGIN,
        help="Access key ID of a user that may use this bucket only.",
    ),
    ConfigField(
        "secret_access_key", "string", required=True, default=None, secret=True, label="Secret access key",
        group=LOGIN, sent_to=("mode", "endpoint", "access_key_id"),
        help="Secret access key. Requests are signed with it; it is never sent.",
    ),
    ConfigField(
        "connect_timeout", "number", required=False, default=10.0, label="Connect timeout",
        group=TIMING, rare=True, maximum=600, help="Seconds to wait for the connection.",
    ),
    ConfigField(
        "io_timeout", "number", required=False, default=30.0, label="Response timeout",
        group=TIMING, rare=True, maximum=600, help="Seconds to wait for each answer of the server.",
    ),
)  # fmt: skip
