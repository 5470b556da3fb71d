"""Settings of the test run: the real engines, each test process with a database of its own."""

import os
import tempfile

os.environ.setdefault("OBSERA_VAR", tempfile.mkdtemp(prefix="obsera-test-"))

from config.settings.base import *

EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a missing one
_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
for _database in DATABASES.values():
    _database["NAME"] = f"{_database['NAME']}_{_worker}"  # never the database that the address names
    _database["CONN_MAX_AGE"] = 0
# A Redis database of its own, too: processes would hear each other's live messages (Redis has sixteen; no. 0 stays free).
if _worker.startswith("gw"):  # "gw3", or "gw3_old" for a database more
    REDIS_URL = f"{REDIS_URL.rpartition('/')[0]}/{int(_worker[2:].partition('_')[0]) % 15 + 1}"
CELERY_BROKER_URL = CACHES["default"]["LOCATION"] = REDIS_URL
CACHES["default"]["KEY_PREFIX"] = f"obsera-test-{_worker}"
API_RATE_PER_KEY = API_RATE_PER_ADDRESS = 10_000_000  # tests of the limits set their own
# Made for speed; tests/accounts/test_hasher.py tries the real one.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "apps.accounts.hashers.Argon2Hasher"]
