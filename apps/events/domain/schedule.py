"""The schedule table: what recurs, claimed by any number of schedulers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from apps.events.hints import hint
from apps.events.models import ScheduledJob


@dataclass(frozen=True, slots=True)
class Job:
    """A task that recurs; ``every`` is the time between starts."""

    name: str
    task: str
    every: timedelta
    queue: str


@cache
def schedule_table() -> dict[str, Job]:
    jobs: Iterable[Job] = import_string(settings.SCHEDULE_TABLE)
    return {job.name: job for job in jobs}


def register_jobs() -> None:
    """Give each job of the table its row; jobs no longer listed lose theirs."""
    ScheduledJob.objects.bulk_create([ScheduledJob(name=name) for name in schedule_table()], ignore_conflicts=True)
    ScheduledJob.objects.exclude(name__in=schedule_table()).delete()


CLAIM = """
UPDATE events_scheduledjob AS job
SET last_started_at = now(), due_at = greatest(job.due_at + table_row.every, now())
FROM (SELECT unnest(%s::text[]) AS name, unnest(%s::interval[]) AS every) AS table_row
WHERE job.name = table_row.name
  AND job.name IN (SELECT name FROM events_scheduledjob WHERE due_at <= now() FOR UPDATE SKIP LOCKED)
RETURNING job.name
"""


def start_due_jobs() -> list[str]:
    """Claim what is due (rivals: other schedulers), hint its tasks and return the names."""
    jobs = schedule_table()
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [list(jobs), [job.every for job in jobs.values()]])
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        job = jobs[name]
        hint(job.task, queue=job.queue, expires_seconds=max(job.every.total_seconds() * 2, 2))
    return names
