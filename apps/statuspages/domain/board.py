"""The board: all that a public page says right now, as plain values. Pages, JSON, feed and badge are drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from apps.checks.domain.days import DAYS, Day, Uptime, day_bounds, uptime_of
from apps.incidents.enums import Severity
from apps.statuspages.domain.facts import ComponentFact, history_of
from apps.statuspages.domain.outages import ShownOutage, listed, pasts_of
from apps.statuspages.domain.queries import flips_and_hindsight_since, outages_between, shown_components
from apps.statuspages.domain.statuses import component_status, group_status, page_indicator
from apps.statuspages.domain.uptime import days_of
from apps.statuspages.domain.works import PlannedWork, works_on
from apps.statuspages.enums import ComponentStatus, Indicator
from apps.statuspages.models import StatusPage


@dataclass(frozen=True)
class ShownComponent:
    """A component with its last 90 days."""

    fact: ComponentFact
    days: Sequence[Day]

    @property
    def id(self) -> UUID:
        return self.fact.id

    @property
    def name(self) -> str:
        return self.fact.name

    @property
    def description(self) -> str:
        return self.fact.description

    @property
    def status(self) -> ComponentStatus:
        return component_status(self.fact.state)

    @cached_property
    def uptime(self) -> Uptime:
        return uptime_of(self.days)


@dataclass(frozen=True)
class Group:
    """Components that stand together; without a name those that stand alone."""

    name: str
    components: Sequence[ShownComponent]

    @property
    def status(self) -> ComponentStatus:
        return group_status([component.status for component in self.components])


@dataclass(frozen=True)
class Board:
    """A page at one moment."""

    page: StatusPage
    now: datetime
    last_day: date
    components: Sequence[ShownComponent]
    outages: Sequence[ShownOutage]
    works: Sequence[PlannedWork] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.page.tenant.time_zone)

    @cached_property
    def indicator(self) -> Indicator:
        return page_indicator([component.status for component in self.components])

    @cached_property
    def is_blank(self) -> bool:
        """Nothing is known of anything shown."""
        return all(component.status == ComponentStatus.UNKNOWN for component in self.components)

    @property
    def sign(self) -> str:
        """The state whose colour stands for the page."""
        return group_status([component.status for component in self.components]).sign

    @property
    def unwell(self) -> list[ShownComponent]:
        """What is out or slow, the worst first."""
        order = [ComponentStatus.MAJOR_OUTAGE, ComponentStatus.PARTIAL_OUTAGE, ComponentStatus.DEGRADED]
        affected = [component for component in self.components if component.status in order]
        return sorted(affected, key=lambda component: order.index(component.status))

    @property
    def current(self) -> list[ShownOutage]:
        """What goes on now, the worst first, then the newest."""
        return sorted(
            (outage for outage in self.outages if outage.is_open), key=lambda outage: outage.severity != Severity.DOWN
        )

    @property
    def groups(self) -> list[Group]:
        """The components by group, in the order of each group's first component; lone neighbours share a nameless group."""
        gathered: list[tuple[str, list[ShownComponent]]] = []
        for component in self.components:
            name = component.fact.group
            home = next((members for title, members in gathered if name and title == name), None)
            if home is None and not name and gathered and not gathered[-1][0]:
                home = gathered[-1][1]
            if home is None:
                gathered.append((name, home := []))
            home.append(component)
        return [Group(name, members) for name, members in gathered]


def board_of(page: StatusPage, now: datetime) -> Board:
    """Draw up a page with five questions to the database, a few more where work is planned, however many components it has."""
    zone = ZoneInfo(page.tenant.time_zone)
    last_day = now.astimezone(zone).date()
    bounds = day_bounds(last_day, DAYS, zone)
    since = datetime.fromtimestamp(bounds[0], tz=zone)
    components = shown_components(page)
    check_ids = [component.check_id for component in components]
    outages = outages_between(check_ids, since)
    flips, learned = flips_and_hindsight_since(check_ids, since)
    pasts = pasts_of(components, outages, flips, learned)
    shown = [ShownComponent(past.component, days_of(history_of(past, since=since, now=now), bounds)) for past in pasts]
    works = works_on(components, now)
    return Board(page, now, last_day, shown, listed(pasts, outages, flips, since=since, now=now), works)
