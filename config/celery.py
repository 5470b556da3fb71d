"""The Celery application: workers start with ``celery -A config.celery worker -Q <queue>``."""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
# Installing runs Django's checks. Each worker would load every page and the whole API for them: 50 MB that most never use.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("obsera")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _refuse_unsafe_database_role(**_kwargs: Any) -> None:
    from config.startup import refuse_unsafe_database_role  # noqa: PLC0415 - needs Django's apps, which load after this module

    refuse_unsafe_database_role()


@celeryd_after_setup.connect
def _load_addresses(instance: Any, **_kwargs: Any) -> None:
    """Have the worker that writes messages know the pages' addresses before the first outage, not while somebody waits."""
    from django.urls import get_resolver  # noqa: PLC0415 - as above

    if "events" in instance.app.amqp.queues.consume_from:
        assert get_resolver().reverse_dict  # noqa: S101 - asked for, it is read from all of the apps
