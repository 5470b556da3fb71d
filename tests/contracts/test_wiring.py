"""Events reach handlers that exist, recurring jobs run tasks that exist."""

import inspect
from importlib import import_module
from importlib.util import find_spec
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from django.apps import apps
from django.utils.module_loading import import_string

from apps.events.base import Event
from config.celery import app as celery
from config.event_table import EVENT_TABLE
from config.schedule_table import SCHEDULE_TABLE

QUEUES = {"events", "probes", "deliveries"}


def event_classes() -> list[type[Event]]:
    """Return every event that an app declares."""
    found: list[type[Event]] = []
    for app in apps.get_app_configs():
        module = f"{app.name}.events"
        if app.name.startswith("apps.") and app.name != "apps.events" and find_spec(module):
            found.extend(
                value
                for value in vars(import_module(module)).values()
                if inspect.isclass(value) and issubclass(value, Event) and "name" in vars(value)
            )
    return list(dict.fromkeys(found))


def test_every_event_is_in_the_table_once_by_name() -> None:
    names = [event.name for event in event_classes()]

    assert set(event_classes()) == set(EVENT_TABLE)
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("event", event_classes(), ids=lambda event: event.name)
def test_event_carries_ids_only_and_is_named_after_its_app(event: type[Event]) -> None:
    from uuid import UUID

    assert event.name.split(".")[0] == event.__module__.split(".")[1]
    assert set(get_type_hints(event).values()) - {UUID} <= {get_type_hints(Event)["name"]}


WIRES = [(event, path) for event, paths in EVENT_TABLE.items() for path in paths]


@pytest.mark.parametrize(("event", "path"), WIRES, ids=lambda value: value if isinstance(value, str) else value.name)
def test_handler_resolves_and_takes_that_event(event: type[Event], path: str) -> None:
    handler = import_string(path)

    (parameter,) = inspect.signature(handler).parameters
    wanted = get_type_hints(handler)[parameter]
    kinds = get_args(wanted) if get_origin(wanted) is Union or get_args(wanted) else (wanted,)
    assert any(issubclass(event, kind) for kind in kinds)
    assert path.split(".")[2] == "handlers"


@pytest.mark.parametrize("job", SCHEDULE_TABLE, ids=lambda job: job.name)
def test_recurring_job_runs_a_task_that_exists(job: object) -> None:
    celery.loader.import_default_modules()

    assert job.task in celery.tasks  # type: ignore[attr-defined]
    assert job.queue in QUEUES  # type: ignore[attr-defined]


def test_recurring_jobs_have_names_of_their_own() -> None:
    names = [job.name for job in SCHEDULE_TABLE]

    assert sorted(names) == sorted(set(names))
