"""The Celery application: workers start with ``celery -A config.celery worker -Q <queue>``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

app = Celery("obsera")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
