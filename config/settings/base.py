"""Settings that work with no environment at all; production is this file plus environment variables (docs/ops/settings.md)."""

from pathlib import Path
from typing import Any

import django_stubs_ext
from django.utils.translation import gettext_lazy as _

from apps.plans.catalogue import PLANS
from config import env
from config.run.private_files import read_or_create_secret

django_stubs_ext.monkeypatch()  # Field[…] and friends may be written where Python runs them

BASE_DIR = Path(__file__).resolve().parents[2]
# The folder for what this installation keeps: embedded services, logs, letters, its secret key.
VAR_DIR = Path(env.text("OBSERA_VAR", str(BASE_DIR / "var")))


def _kept_secret(name: str) -> str:
    """Return a secret that is made once and kept in the var folder, readable by its owner only."""
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    return read_or_create_secret(VAR_DIR / name)


# --- Identity of this installation -------------------------------------------------------------------------------
DEBUG = False
# Signs sessions and links; empty makes one and keeps it in the var folder.
SECRET_KEY = env.text("SECRET_KEY") or _kept_secret("secret-key")
# Keys that seal customers' secrets, newest first: "id:base64url of 32 bytes"; empty derives one from SECRET_KEY.
SEALING_KEYS = env.words("SEALING_KEYS")
# Where `make run` serves the product.
PORT = env.integer("PORT", 8000, low=1, high=65535)
# How people reach the product; links in letters begin with it, and https:// switches secure cookies and HSTS on.
PUBLIC_URL = env.text("PUBLIC_URL", f"http://localhost:{PORT}").rstrip("/")
# The host names that requests may carry.
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
IS_HTTPS = PUBLIC_URL.startswith("https://")
# Probes and webhooks may reach private addresses: on for the single machine, off when many tenants share one.
ALLOW_PRIVATE_TARGETS = env.flag("ALLOW_PRIVATE_TARGETS", default=True)
# How long results are kept.
RESULT_RETENTION_DAYS = env.integer("RESULT_RETENTION_DAYS", 400, low=2, high=4_000)
# Browser journeys run in a Chromium of the prober's machine, which needs Chromium, the packages of requirements/browser.txt
# and about 500 MB of memory.
BROWSER_CHECKS = env.flag("BROWSER_CHECKS", default=False)
# The code of the region that this process' probers are in: lower-case letters, digits and hyphens.
PROBE_REGION = env.text("PROBE_REGION", "main")
# Name servers for checks of tenants that may not reach the private ones of the prober's machine.
PUBLIC_NAME_SERVERS = env.words("PUBLIC_NAME_SERVERS", "9.9.9.9,1.1.1.1")
# Addresses that answer whenever that region's network is well (URLs or host names); when more than half of them fail,
# failures seen there count as unknown and page nobody. Empty: the region is always held to be well.
PROBE_CONTROLS = env.words("PROBE_CONTROLS")
# Who owns the first tenant of a new installation, and operates it.
FIRST_EMAIL = env.text("FIRST_EMAIL", "owner@obsera.localhost")
# What tenants may have to whom the operator gave no plan: free, team, business or unlimited.
DEFAULT_PLAN = env.choice("DEFAULT_PLAN", "unlimited", PLANS)
# Heartbeats take pings by e-mail at <token>@this domain; empty: they do not. Its MX record leads to PING_MAIL_PORT.
PING_MAIL_DOMAIN = env.text("PING_MAIL_DOMAIN")
# The address that mails are taken on; :: or 0.0.0.0 for all of this machine's.
PING_MAIL_HOST = env.text("PING_MAIL_HOST", "127.0.0.1")
# The port that mails are taken on; 25 is where other servers bring them.
PING_MAIL_PORT = env.integer("PING_MAIL_PORT", 2525, low=1, high=65535)
# A file with a certificate chain, for STARTTLS; empty: mails come in the clear.
PING_MAIL_CERTIFICATE = env.text("PING_MAIL_CERTIFICATE")
# A file with that certificate's key, where it does not lie in the same file.
PING_MAIL_KEY = env.text("PING_MAIL_KEY")
# The bearer token that /metrics asks for; empty lets only this machine read it.
OPERATOR_METRICS_TOKEN = env.text("OPERATOR_METRICS_TOKEN")

# --- Apps, lowest floor first ------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "apps.core",
    "apps.events",
    "apps.accounts",
    "apps.plans",
    "apps.tenants",
    "apps.live",
    "apps.notifications",
    "apps.checks",
    "apps.incidents",
    "apps.alerting",
    "apps.statuspages",
    "apps.console",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.core.middleware.ContentSecurityPolicyMiddleware",
    "apps.core.api.middleware.EdgeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.sessions.SessionAgeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TASK_APPLICATION = "config.celery.app"
EVENT_TABLE = "config.event_table.EVENT_TABLE"
SCHEDULE_TABLE = "config.schedule_table.SCHEDULE_TABLE"
USAGE_TABLE = "config.usage_table.USAGE_TABLE"
DOCUMENT_TABLE = "config.document_table.DOCUMENT_TABLE"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.core.context_processors.page",
                "apps.tenants.context_processors.tenant",
                "apps.incidents.context_processors.outages",
                "apps.alerting.context_processors.alerts",
            ],
        },
    },
]

# --- PostgreSQL and Redis ----------------------------------------------------------------------------------------
# The role that processes connect as; migrations grant it its rights.
DB_APP_ROLE = env.text("DB_APP_ROLE", "obsera_app")
# The role without login that serves all tenants at once, in named modules only.
DB_SYSTEM_ROLE = env.text("DB_SYSTEM_ROLE", "obsera_system")
_DATABASE_COMMON: dict[str, Any] = {
    "ENGINE": "apps.core.postgres",
    "DISABLE_SERVER_SIDE_CURSORS": True,  # PgBouncer in transaction mode cannot keep them
    # Seconds that a process keeps an idle connection to PostgreSQL.
    "CONN_MAX_AGE": env.integer("DB_CONN_MAX_AGE", 60, low=0, high=86_400),
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {"connect_timeout": 5, "application_name": "obsera"},
}
_DEFAULT_DATABASE = "postgresql://obsera_app@127.0.0.1:5432/obsera"


def _connection(address: dict[str, Any]) -> dict[str, Any]:
    return {**_DATABASE_COMMON, **address, "OPTIONS": {**_DATABASE_COMMON["OPTIONS"], **address.get("OPTIONS", {})}}


DATABASES = {
    # PostgreSQL for everything but migrations; its role must neither own the tables nor pass by row-level security.
    "default": _connection(env.database("DATABASE_URL", _DEFAULT_DATABASE)),
    # The same database as its owner, who migrates.
    "owner": _connection(env.database("DATABASE_OWNER_URL", env.text("DATABASE_URL", _DEFAULT_DATABASE))),
}
DATABASE_ROUTERS = ["apps.core.postgres.router.OwnerMigratesRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Redis for hints, live updates and the cache; it may lose everything.
REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:6379/0")

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 5, "socket_keepalive": True}
CELERY_TASK_PUBLISH_RETRY = False  # PostgreSQL remembers; a lost hint is found by the sweep
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 600

# --- Signing in --------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["apps.accounts.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "tenants:enter"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {
    "login": "apps.accounts.sign_in_forms.SignInForm",
    "signup": "apps.accounts.sign_in_forms.SignUpForm",
    "reset_password": "apps.accounts.sign_in_forms.AskForResetForm",
    "reset_password_from_key": "apps.accounts.sign_in_forms.ResetPasswordForm",
    "change_password": "apps.accounts.sign_in_forms.ChangePasswordForm",
    "set_password": "apps.accounts.sign_in_forms.SetPasswordForm",
    "add_email": "apps.accounts.sign_in_forms.NewAddressForm",
    "reauthenticate": "apps.accounts.sign_in_forms.ConfirmPasswordForm",
}
ACCOUNT_SIGNUP_FORM_CLASS = "apps.accounts.forms.NameForm"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 2  # the present one and, until confirmed, the next
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_USER_DISPLAY = str
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
MFA_ADAPTER = "apps.accounts.adapter.MFAAdapter"
MFA_FORMS = {
    "authenticate": "apps.accounts.sign_in_forms.CodeForm",
    "reauthenticate": "apps.accounts.sign_in_forms.ConfirmCodeForm",
    "activate_totp": "apps.accounts.sign_in_forms.EnrolForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Obsera"

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 7 * 86_400  # without a visit
SESSION_ABSOLUTE_AGE = 30 * 86_400  # whatever the visits
SESSION_COOKIE_NAME = "obsera_session"
SESSION_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "obsera_csrf"
CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
# A proxy in front sets X-Forwarded-Proto and X-Forwarded-For.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("TRUST_PROXY", default=False) else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

CACHES = {
    "default": {
        "BACKEND": "apps.core.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},  # a Redis that hangs must not hang requests
        "KEY_PREFIX": "obsera",
    }
}

# --- Mail --------------------------------------------------------------------------------------------------------
# smtp://, smtps:// or smtp+tls://user:password@host:port; empty keeps letters in the var folder.
_MAIL = env.mail("EMAIL_URL")
globals().update(_MAIL)
EMAIL_TIMEOUT = 10
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _MAIL else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = VAR_DIR / "mail"  # a machine without a mail server keeps its letters here
# The sender of letters.
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "Obsera <obsera@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- Language, time, files ---------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "obsera_language"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"  # beside the data: a second installation from the same code must not clear it
STATICFILES_DIRS = [BASE_DIR / "static"]  # static/vendor is filled from npm at set-up (config.frontend)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "apps.core.staticfiles.ForgivingManifestStorage"},
}

# --- API ---------------------------------------------------------------------------------------------------------
# Requests a minute that one API key or person may make in the long run; half as many at once.
API_RATE_PER_KEY = env.integer("API_RATE_PER_KEY", 1_200, low=1, high=10_000_000)
# The same, counted by address before the key is looked at.
API_RATE_PER_ADDRESS = env.integer("API_RATE_PER_ADDRESS", 2_400, low=1, high=10_000_000)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.api.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.api.pagination.CursorPage",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.api.errors.problem_response",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Obsera API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "ENUM_NAME_OVERRIDES": {"DeliveryStateEnum": "apps.notifications.enums.DeliveryState.choices"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # DEBUG, INFO, WARNING or ERROR.
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
}
