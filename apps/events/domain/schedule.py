"""The schedule table: what recurs, claimed by any number of schedulers."""

import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from apps.core import clock
from apps.core.tenancy import system_scope
from apps.events.hints import hint
from apps.events.models import ScheduledJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A task that recurs; ``every`` is the time between starts.

    ``asks`` is the dotted path of a SELECT that finds a row where there is something to do. The scheduler asks it so often
    and starts the task only then: a message and a worker's look would cost twenty times as much.

    ``rests`` is for how long the job waits after the clock was set ahead, which makes everything look long past: until
    those who give signs of life have given the next one.
    """

    name: str
    task: str
    every: timedelta
    queue: str
    asks: str = ""
    rests: timedelta = timedelta(0)

    @property
    def question(self) -> str:
        return str(import_string(self.asks)) if self.asks else "SELECT"


@cache
def schedule_table() -> dict[str, Job]:
    jobs: Iterable[Job] = import_string(settings.SCHEDULE_TABLE)
    return {job.name: job for job in jobs}


def register_jobs() -> None:
    """Give each job of the table its row; jobs no longer listed lose theirs."""
    ScheduledJob.objects.bulk_create([ScheduledJob(name=name) for name in schedule_table()], ignore_conflicts=True)
    ScheduledJob.objects.exclude(name__in=schedule_table()).delete()


class Rounds:
    """Which jobs this scheduler looks at when: one that had nothing to do is asked again after its time between starts."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._watch = clock.StepWatch()

    def look(self) -> list[str]:
        """Start what is due and has something to do; return the names."""
        now, jobs = time.monotonic(), schedule_table()
        if self._watch.step() > timedelta(0):
            logger.warning("the clock was set ahead")
            self._next |= {name: now + job.rests.total_seconds() for name, job in jobs.items() if job.rests}
        names = [name for name in jobs if self._next.get(name, 0.0) <= now]
        started = start_due_jobs(names)
        for name in names:
            if jobs[name].asks:
                self._next[name] = now + jobs[name].every.total_seconds()
        return started


# The second CASE asks the questions of due jobs alone, and in one round trip for all. Missed turns are not made up for.
# What is due later than the time between its starts was planned by a clock that has been set back since: it is due now.
CLAIM = """
UPDATE events_scheduledjob AS job
SET last_started_at = now(), due_at = table_row.every + CASE
    WHEN job.due_at BETWEEN now() - table_row.every AND now() THEN job.due_at ELSE now() END
FROM (SELECT unnest(%s::text[]) AS name, unnest(%s::interval[]) AS every) AS table_row
WHERE job.name = table_row.name AND job.name IN (
    SELECT due.name FROM events_scheduledjob AS due
    JOIN (SELECT unnest(%s::text[]) AS name, unnest(%s::interval[]) AS every) AS asked USING (name)
    WHERE (due.due_at <= now() OR due.due_at > now() + asked.every + interval '5 seconds')
      AND CASE due.name {answers} END FOR UPDATE OF due SKIP LOCKED
)
RETURNING job.name
"""


def start_due_jobs(names: Collection[str] | None = None) -> list[str]:
    """Claim what is due (rivals: other schedulers), of these jobs or of all, hint its tasks and return the names."""
    jobs = {name: job for name, job in schedule_table().items() if names is None or name in names}
    if not jobs:
        return []
    with system_scope("recurring jobs serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        names_and_times: list[Any] = [list(jobs), [job.every for job in jobs.values()]]
        cursor.execute(_claim(tuple(jobs)), 2 * names_and_times)
        started = [name for (name,) in cursor.fetchall()]
    for name in started:
        job = jobs[name]
        hint(job.task, queue=job.queue, expires_seconds=max(job.every.total_seconds() * 2, 2))
    return started


def _claim(names: Collection[str]) -> str:
    """Return the statement with the questions of these jobs; names and questions are constants of ours."""
    answers = [f"WHEN '{name}' THEN EXISTS ({schedule_table()[name].question})" for name in names]
    return CLAIM.format(answers=" ".join(answers))
