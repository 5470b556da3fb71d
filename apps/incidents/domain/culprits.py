"""Which outages came of another: what the check depends on was down meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from apps.checks.domain.dependencies import ancestors_of
from apps.incidents.enums import Severity
from apps.incidents.models import Outage


@dataclass(frozen=True, slots=True)
class Culprit:
    """The outage that explains another, and whose it is."""

    outage_id: UUID
    check_id: UUID
    name: str


def culprits_of(outages: Iterable[Outage]) -> dict[UUID, Culprit]:
    """Return, by outage, the topmost thing that the check depends on and that was down at the same time.

    One question where nothing depends on anything, three otherwise.
    """
    listed = list(outages)
    above = ancestors_of({outage.watched_id for outage in listed}) if listed else {}
    if not above:
        return {}
    parents = {parent for found in above.values() for parent in found}
    begun = min(outage.started_at for outage in listed)
    rows = Outage.objects.filter(watched__in=parents, severity=Severity.DOWN).exclude(ended_at__lt=begun)
    theirs = list(rows.select_related("watched").order_by("started_at", "id"))
    higher = ancestors_of(parents) if theirs else {}
    return {
        outage.id: Culprit(top.id, top.watched_id, top.watched.name)
        for outage in listed
        if (top := _topmost(outage, above.get(outage.watched_id, ()), theirs, higher))
    }


def _topmost(
    outage: Outage, parents: Iterable[UUID], theirs: Iterable[Outage], higher: dict[UUID, list[UUID]]
) -> Outage | None:
    """Return the outage of a parent at that time that no other one of them explains."""
    guilty = [other for other in theirs if other.watched_id in set(parents) and _overlap(outage, other)]
    names = {other.watched_id for other in guilty}
    return next((other for other in guilty if not names & set(higher.get(other.watched_id, ()))), None)


def _overlap(one: Outage, other: Outage) -> bool:
    begins_in_time = one.ended_at is None or other.started_at <= one.ended_at
    return begins_in_time and (other.ended_at is None or other.ended_at >= one.started_at)
