"""The Celery application: workers start with ``celery -A config.celery worker -Q <queue>``."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

app = Celery("obsera")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _refuse_unsafe_database_role(**_kwargs: Any) -> None:
    from config.startup import refuse_unsafe_database_role  # noqa: PLC0415 - needs Django's apps, which load after this module

    refuse_unsafe_database_role()
