"""Settings, from the environment only. `docs/settings.md` lists every variable."""

import sys
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from orderflow import api_settings, archive_settings, database_settings, development, log_settings
from orderflow import environment as env
from orderflow.secrets.crypto import BadKey, MasterKey

BASE_DIR = Path(__file__).resolve().parent.parent
# Installed as a package there is no checkout, and Python's own folders are no place for data.
_HOME = BASE_DIR if (BASE_DIR / "manage.py").is_file() else Path.cwd()
VAR = Path(env.text("VAR_DIR", str(_HOME / "var"))).absolute()
DEVELOPMENT = env.text("ORDERFLOW_ENV", "production", among=("production", "development")) == "development"


def _secret(name: str, advice: str) -> str:
    value = env.text(name)
    if value:
        return value
    if DEVELOPMENT:
        return development.secret(name.lower(), VAR / "development-secrets")
    raise ImproperlyConfigured(f"{name} is not set. {advice}")


_MAKE_KEY = "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"

DEBUG = env.flag("DEBUG", default=False)
if DEBUG and not DEVELOPMENT:
    raise ImproperlyConfigured("DEBUG is true in production, where its pages would show settings. Remove it.")
DEFAULT_EXCEPTION_REPORTER_FILTER = "orderflow.debug_pages.NothingHeld"
SECRET_KEY = _secret("SECRET_KEY", _MAKE_KEY)
if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 10:
    raise ImproperlyConfigured(f"SECRET_KEY is weak: it needs at least 50 random characters. {_MAKE_KEY}")
ENCRYPTION_MASTER_KEY = _secret("ENCRYPTION_MASTER_KEY", f"It needs 64 hex digits. {_MAKE_KEY}")
ENCRYPTION_PREVIOUS_KEYS = env.items("ENCRYPTION_PREVIOUS_KEYS")
for _name, _keys in {
    "ENCRYPTION_MASTER_KEY": [ENCRYPTION_MASTER_KEY],
    "ENCRYPTION_PREVIOUS_KEYS": ENCRYPTION_PREVIOUS_KEYS,
}.items():
    try:
        _ring = [MasterKey.from_hex(_key) for _key in _keys]
    except BadKey as _error:
        raise ImproperlyConfigured(f"{_name} {_error}. {_MAKE_KEY}") from None

ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", ["127.0.0.1", "localhost"])
if "*" in ALLOWED_HOSTS and not DEVELOPMENT:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS holds '*', so that anybody's host name would be answered. Write yours, separated by commas."
    )
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "orderflow.tenancy",
    "orderflow.audit",
    "orderflow.orders",
    "orderflow.accounts",
    "orderflow.second_factor",
    "orderflow.user_admin",
    "orderflow.heartbeat",
    "orderflow.idempotency",
    "erp_connectors.apps.ErpConnectorsConfig",
    "erp_connectors.bulk.apps.BulkConfig",
    "erp_connectors.notifications.apps.NotifyConfig",
    "erp_connectors.retention.apps.RetentionConfig",
    "orderflow.site.OrderFlowAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "rest_framework",
    "knox",
    "axes",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "orderflow.headers.HeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "orderflow.audit.context.RequestContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "orderflow.body_limits.LimitsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "orderflow.tenancy.middleware.OrgScopeMiddleware",
    "orderflow.login_expiry.LoginExpiryMiddleware",
    "orderflow.second_factor.required.SecondFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "orderflow.viewer_timezone.ViewerZoneMiddleware",
    "axes.middleware.AxesMiddleware",
]
TRACING = env.flag("TRACING", default=False)
if TRACING:
    MIDDLEWARE.insert(
        MIDDLEWARE.index("orderflow.audit.context.RequestContextMiddleware") + 1,
        "orderflow.traces.Middleware",
    )
ROOT_URLCONF = "orderflow.urls"
WSGI_APPLICATION = "orderflow.wsgi.application"
# Templates and static files lie beside the code of their area; those of form widgets must be in an app.
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [
            BASE_DIR / "orderflow" / "templates",
            *sorted(BASE_DIR.glob("erp_connectors/*/*/templates")),
        ],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_USER_MODEL = "tenancy.User"
# Called with the request and the context of the admin site.
ADMIN_INDEX_PAGE = "erp_connectors.admin.overview.page.overview_page"
AUTHENTICATION_BACKENDS = [
    "orderflow.accounts.lockout.LockoutBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email",)},
    },
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
# Also where a link that leads elsewhere would have sent them.
LOGIN_REDIRECT_URL = "admin:index"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Off unless set, as it needs PostgreSQL and a second database role: deploy/orderflow.env.example sets it.
ROW_LEVEL_SECURITY = env.flag("ROW_LEVEL_SECURITY", default=False)
DATABASE_APP_ROLE = env.text("DATABASE_APP_ROLE")
DATABASES = {"default": database_settings.database(VAR, row_level_security=ROW_LEVEL_SECURITY)}

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR / "media"},
    },
    "exports": archive_settings.storage(VAR),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEVELOPMENT
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "orderflow" / "static", *sorted(BASE_DIR.glob("erp_connectors/*/*/static"))]
STATIC_ROOT = env.text("STATIC_ROOT", str(VAR / "static"))
WHITENOISE_USE_FINDERS = DEVELOPMENT
WHITENOISE_AUTOREFRESH = DEVELOPMENT

DROPZONE_ROOTS = env.folders("DROPZONE_ROOTS", [str(VAR / "dropzone")])
SFTP_ALLOWED_HOSTS = env.items("SFTP_ALLOWED_HOSTS")
NAT64_PREFIXES = env.nat64_prefixes("NAT64_PREFIXES")
SFTP_ALLOW_LOOPBACK = env.flag("SFTP_ALLOW_LOOPBACK", DEVELOPMENT)
ACK_POLL_INTERVAL_SECONDS = env.number("ACK_POLL_INTERVAL_SECONDS", 60)
ACK_BATCH_SIZE = env.number("ACK_BATCH_SIZE", 200)
ACK_POLL_SECONDS = env.number("ACK_POLL_SECONDS", 20)
ACK_UNFINISHED_SECONDS = env.number("ACK_UNFINISHED_SECONDS", 600)
ACK_MAX_BYTES = env.number("ACK_MAX_BYTES", 1024 * 1024)
EXPIRY_REMINDER_DAYS = env.number("EXPIRY_REMINDER_DAYS", 30, minimum=0)
SESSIONS_KEPT = env.number("SESSIONS_KEPT", 16, minimum=0)
SESSION_IDLE_SECONDS = env.number("SESSION_IDLE_SECONDS", 120)
DELIVERY_BATCH_SIZE = env.number("DELIVERY_BATCH_SIZE", 200)
DELIVERY_LEASE_SECONDS = env.number("DELIVERY_LEASE_SECONDS", 120)
DELIVERY_MAX_ATTEMPTS = env.number("DELIVERY_MAX_ATTEMPTS", 12)
DELIVERY_RETRY_BASE_SECONDS = env.number("DELIVERY_RETRY_BASE_SECONDS", 15)
DELIVERY_RETRY_MAX_SECONDS = env.number("DELIVERY_RETRY_MAX_SECONDS", 1800)
RETENTION_ARCHIVE_DAYS = env.number("RETENTION_ARCHIVE_DAYS", 0, minimum=0)
RETENTION_ACK_DAYS = env.number("RETENTION_ACK_DAYS", 0, minimum=0)
RETENTION_EVENT_DAYS = env.number("RETENTION_EVENT_DAYS", 0, minimum=0)

PUBLIC_URL = env.site("PUBLIC_URL")
DOCS_URL = env.site("DOCS_URL")
_MAIL = env.mail("EMAIL_URL")
MAIL_IS_SET_UP = bool(_MAIL)
EMAIL_HOST, EMAIL_PORT = _MAIL.get("EMAIL_HOST", ""), _MAIL.get("EMAIL_PORT", 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.get("EMAIL_HOST_USER", ""), _MAIL.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.get("EMAIL_USE_TLS", False), _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
EMAIL_BACKEND = "erp_connectors.notifications.smtp.EmailBackend"
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "OrderFlow <orderflow@localhost>")
WEBHOOK_PRIVATE_HOSTS = env.items("WEBHOOK_PRIVATE_HOSTS")
WEBHOOK_ALLOW_HTTP = env.flag("WEBHOOK_ALLOW_HTTP", default=False)
WEBHOOK_CA_FILE = env.text("WEBHOOK_CA_FILE")
NOTIFICATION_WINDOW_SECONDS = env.number("NOTIFICATION_WINDOW_SECONDS", 30, minimum=0)
NOTIFICATION_PAUSE_SECONDS = env.number("NOTIFICATION_PAUSE_SECONDS", 600, minimum=0)

METRICS_TOKEN = env.text("METRICS_TOKEN")
METRICS_ALLOWED_NETWORKS = env.networks("METRICS_ALLOWED_NETWORKS")
METRICS_CONNECTIONS = env.number("METRICS_CONNECTIONS", 2000)

Q_WORKERS = env.number("Q_WORKERS", 2)
_TASK_SECONDS = 600
_QUEUE_LIMIT = 8
Q_CLUSTER = {
    "name": "orderflow",
    "orm": "default",
    "broker_class": "orderflow.broker.DatabaseClockBroker",
    "workers": Q_WORKERS,
    "queue_limit": _QUEUE_LIMIT,
    "timeout": _TASK_SECONDS,
    # A task waiting in a worker's queue must not be handed out a second time meanwhile.
    "retry": int(_TASK_SECONDS * ((_QUEUE_LIMIT + 1) / Q_WORKERS + 1)) + 30,
    "max_attempts": 1,
    "catch_up": False,
    "poll": 0.5,
    # Nothing is stored (orderflow.queue_guard), so a failed task, too, leaves the queue at once.
    "save_limit": -1,
    "ack_failures": True,
}

TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 0 if DEVELOPMENT else 1, minimum=0)
REST_FRAMEWORK = api_settings.rest_framework(TRUSTED_PROXIES)
KNOX_TOKEN_MODEL = "access.Token"  # noqa: S105  # a model, not a secret
# knox' own migrations would make the table of the model that ours replaces.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {"TOKEN_TTL": timedelta(days=90), "AUTH_HEADER_PREFIX": "Token"}

REQUIRE_SECOND_FACTOR = env.text("REQUIRE_SECOND_FACTOR", "none", among=("none", "admins", "all"))
LOGINS_PER_MINUTE = env.number("LOGINS_PER_MINUTE", 20)
WRITES_PER_MINUTE = env.number("WRITES_PER_MINUTE", 600)
LOGIN_FAILURES_PER_ADDRESS = env.number("LOGIN_FAILURES_PER_ADDRESS", 30)
LOGIN_FAILURES_PER_ACCOUNT = env.number("LOGIN_FAILURES_PER_ACCOUNT", 50)
AXES_FAILURE_LIMIT = env.number("LOGIN_FAILURES", 5)
AXES_COOLOFF_TIME = timedelta(minutes=env.number("LOGIN_LOCK_MINUTES", 15))
AXES_HANDLER = "orderflow.accounts.lockout.LockoutHandler"
AXES_USERNAME_FORM_FIELD = "username"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "orderflow.accounts.lockout.place"
AXES_USERNAME_CALLABLE = "orderflow.accounts.lockout.account"
AXES_LOCKOUT_CALLABLE = "erp_connectors.api.accounts.locked.locked_out"
# Who goes on guessing while locked out doesn't make it longer: the person whose account it is waits, too.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # the audit log has it
AXES_ENABLE_ADMIN = False
# It keeps what was posted; a recovery code with a slip is nearly one.
AXES_SENSITIVE_PARAMETERS = [
    "username", "ip_address", "code", "sealed", "old_password", "new_password1", "new_password2",
]  # fmt: skip
AXES_VERBOSE = False
SPECTACULAR_SETTINGS = api_settings.SPECTACULAR

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
FORMAT_MODULE_PATH = ["orderflow.formats"]
LOCALE_PATHS = [BASE_DIR / "orderflow" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# Production stands behind a proxy that ends TLS and says so.
if not DEVELOPMENT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # Health checks and scrapes come from inside, without TLS.
    SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
    SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", 31_536_000, minimum=0)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True
    # A neighbour under the same domain can't set cookies of these names for us.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
LOGIN_IDLE_MINUTES = env.number("LOGIN_IDLE_MINUTES", 120)
LOGIN_HOURS = env.number("LOGIN_HOURS", 12)
SESSION_COOKIE_AGE = LOGIN_HOURS * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# No script and no style but our own files; no page of another site may frame ours or take our forms.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024
# An order of 1,000 lines in the admin is a form of 10,000 fields.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 12_000

LOG_FORMAT = env.text(
    "LOG_FORMAT", "console" if DEVELOPMENT or sys.stderr.isatty() else "json", among=("json", "console")
)
LOGGING = log_settings.configure(
    LOG_FORMAT, env.text("LOG_LEVEL", "INFO", among=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
)
