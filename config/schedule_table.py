"""What recurs, and how often."""

from datetime import timedelta

from apps.events.domain.schedule import Job

SCHEDULE_TABLE = (
    # Finds events whose hint was lost.
    Job("events.sweep", task="events.deliver", every=timedelta(seconds=1), queue="events"),
)
