"""Settings of the agent: the checks app with its engine, and neither database nor Redis, mail or web.

Everything the agent is told comes from its options (`config.agent.options`).
"""

import secrets

import django_stubs_ext

django_stubs_ext.monkeypatch()  # as in the product's own settings

# Seals the secrets of checks while they lie in memory; nothing sealed outlives the process.
SECRET_KEY = secrets.token_urlsafe(48)
SEALING_KEYS: list[str] = []
# What is asked of the database breaks at once and loudly.
DATABASES: dict[str, dict[str, str]] = {}
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
AUTH_USER_MODEL = "accounts.User"
# Only what the models of checks refer to.
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "apps.core",
    "config.agent.apps.EventsWithoutTasks",
    "apps.accounts",
    "apps.tenants",
    "apps.live",
    "apps.notifications",
    "apps.checks",
]
# Name servers for checks that name none, where this machine's own may not be asked.
PUBLIC_NAME_SERVERS = ["9.9.9.9", "1.1.1.1"]
