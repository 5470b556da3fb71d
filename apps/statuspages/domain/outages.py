"""The outages that a page lists: those that were seen, and those that were found later, each once, newest first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from apps.checks.domain.hindsight import Learned
from apps.incidents.enums import Severity
from apps.statuspages.domain.facts import ComponentFact, FlipFact, Moment, OutageFact, Past, moments_of
from apps.statuspages.domain.found_later import found_later
from apps.statuspages.domain.queries import (
    bad_hindsight_since,
    flips_since,
    latest_outages,
    outages_between,
    shown_components,
)
from apps.statuspages.enums import ComponentStatus
from apps.statuspages.models import StatusPage


@dataclass(frozen=True)
class ShownOutage:
    """An outage as the public sees it."""

    id: UUID
    component: ComponentFact
    severity: str
    started_at: datetime
    ended_at: datetime | None
    moments: Sequence[Moment]
    is_found_later: bool = False

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def status(self) -> ComponentStatus:
        """The worst that the component was."""
        return ComponentStatus.MAJOR_OUTAGE if self.severity == Severity.DOWN else ComponentStatus.DEGRADED

    @property
    def title(self) -> str:
        is_down = self.severity == Severity.DOWN
        if self.is_found_later:
            down, degraded = (
                _("%(component)s: outage (found later)"),
                _("%(component)s: degraded performance (found later)"),
            )
        else:
            down, degraded = _("%(component)s: outage"), _("%(component)s: degraded performance")
        return (down if is_down else degraded) % {"component": self.component.name}

    @property
    def newest_first(self) -> list[Moment]:
        return list(reversed(self.moments))

    @property
    def updated_at(self) -> datetime:
        return max([self.started_at, *(moment.at for moment in self.moments)])

    @property
    def seconds(self) -> int | None:
        return int((self.ended_at - self.started_at).total_seconds()) if self.ended_at else None


def latest(page: StatusPage, *, limit: int, since: datetime, now: datetime) -> list[ShownOutage]:
    """Return a page's last outages; of those that were found later only what began since then."""
    components = shown_components(page)
    outages = latest_outages([component.check_id for component in components], limit)
    shown = _with_found(components, outages, since=since, now=now)
    return [outage for outage in shown if outage.started_at >= since or not outage.is_found_later][:limit]


def begun_between(
    components: Sequence[ComponentFact], since: datetime, until: datetime, *, now: datetime
) -> list[ShownOutage]:
    """Return the components' outages that began in that time."""
    outages = outages_between([component.check_id for component in components], since, until)
    shown = _with_found(components, outages, since=since, now=now)
    return [outage for outage in shown if since <= outage.started_at < until]


def _with_found(
    components: Sequence[ComponentFact], outages: Sequence[OutageFact], *, since: datetime, now: datetime
) -> list[ShownOutage]:
    """Return outages with what happened during them and those found later, by two more questions, seldom three."""
    learned = bad_hindsight_since([component.check_id for component in components], since)
    begins = [datetime.fromtimestamp(each.span.start, tz=now.tzinfo) for own in learned.values() for each in own]
    if not outages and not begins:
        return []
    earliest = min([*begins, *(outage.started_at for outage in outages)])
    flips = flips_since({*learned, *(outage.check_id for outage in outages)}, earliest)
    # What was found may lie in an outage that is not listed any more.
    seen = outages_between(learned, min(begins)) if begins else ()
    return listed(pasts_of(components, seen, flips, learned), outages, flips, since=earliest, now=now)


def pasts_of(
    components: Iterable[ComponentFact],
    outages: Iterable[OutageFact],
    flips: Mapping[UUID, Sequence[FlipFact]],
    learned: Mapping[UUID, Sequence[Learned]],
) -> list[Past]:
    """Put what is known of each component together."""
    by_check: dict[UUID, list[OutageFact]] = {}
    for outage in outages:
        by_check.setdefault(outage.check_id, []).append(outage)
    return [
        Past(
            component,
            by_check.get(component.check_id, ()),
            flips.get(component.check_id, ()),
            learned.get(component.check_id, ()),
        )
        for component in components
    ]


def listed(
    pasts: Sequence[Past],
    outages: Iterable[OutageFact],
    flips: Mapping[UUID, Sequence[FlipFact]],
    *,
    since: datetime,
    now: datetime,
) -> list[ShownOutage]:
    """Return the outages that were seen, with their moments, and those that were found later."""
    by_check = {past.component.check_id: past.component for past in pasts}
    shown = [
        ShownOutage(
            id=outage.id,
            component=by_check[outage.check_id],
            severity=outage.severity,
            started_at=outage.started_at,
            ended_at=outage.ended_at,
            moments=moments_of(outage, flips[outage.check_id]),
        )
        for outage in outages
    ]
    found = [
        ShownOutage(
            id=outage.id,
            component=past.component,
            severity=outage.severity,
            started_at=outage.started_at,
            ended_at=outage.ended_at,
            moments=outage.moments,
            is_found_later=True,
        )
        for past in pasts
        for outage in found_later(past, since=since, now=now)
    ]
    return sorted([*shown, *found], key=lambda outage: (outage.started_at, outage.id), reverse=True) if found else shown
