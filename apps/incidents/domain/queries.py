"""Named reads of outages."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet

from apps.incidents.models import Outage, OutageEntry

OPEN_FIRST = (F("ended_at").desc(nulls_first=True), F("started_at").desc(), F("id").desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageFilter:
    """Which outages; None or empty means any.

    ``text`` is found in the check's name. ``since_at``: not over before then. ``until_at``: begun before then.
    """

    text: str = ""
    is_open: bool | None = None
    severity: str = ""
    check_id: UUID | None = None
    since_at: datetime | None = None
    until_at: datetime | None = None


def find_outages(wanted: OutageFilter) -> QuerySet[Outage]:
    """Return the outages with their checks; unordered."""
    found: QuerySet[Outage] = Outage.objects.select_related("watched")
    if wanted.text:
        found = found.filter(watched__name__icontains=wanted.text)
    if wanted.is_open is not None:
        found = found.filter(ended_at__isnull=wanted.is_open)
    if wanted.severity:
        found = found.filter(severity=wanted.severity)
    if wanted.check_id:
        found = found.filter(watched_id=wanted.check_id)
    if wanted.since_at:
        found = found.exclude(ended_at__lt=wanted.since_at)
    if wanted.until_at:
        found = found.filter(started_at__lt=wanted.until_at)
    return found


def open_outage_count() -> int:
    return int(Outage.objects.filter(ended_at=None).count())


def timeline_of(outage: Outage) -> QuerySet[OutageEntry]:
    """Return the lines, newest first."""
    lines: QuerySet[OutageEntry] = OutageEntry.objects.filter(outage=outage)
    return lines.select_related("author").order_by("-at", "-id")
