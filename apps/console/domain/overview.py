"""What the first page of a tenant says: what is wrong now, first."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Max, Q

from apps.alerting.enums import AlertState
from apps.alerting.models import Alert
from apps.checks.domain.queries import count_by_state
from apps.checks.enums import State
from apps.checks.models import Check
from apps.core import clock
from apps.incidents.models import Outage
from apps.statuspages.models import StatusPage

RECENT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Overview:
    """The tenant at one look."""

    counts: dict[str, int]
    open_outages: list[Outage]
    recent_outages: list[Outage]
    firing_alerts: int
    checks: list[Check]
    pages: list[StatusPage]
    checks_in_all: int

    @property
    def state(self) -> str:
        """Return the worst state that anyone should act on."""
        for state in (State.DOWN, State.DEGRADED, State.UNKNOWN):
            if self.counts[state]:
                return state
        return State.UP


SHOWN_CHECKS = 12


def overview_of_tenant() -> Overview:
    """Read the open tenant's overview in a fixed number of queries."""
    since: datetime = clock.now() - RECENT
    outages = list(
        Outage.objects.select_related("watched")
        .filter(Q(ended_at=None) | Q(ended_at__gte=since))
        .order_by("-started_at")[:50]
    )
    counts = count_by_state()
    return Overview(
        counts=counts,
        open_outages=[outage for outage in outages if outage.is_open],
        recent_outages=[outage for outage in outages if not outage.is_open][:8],
        firing_alerts=Alert.objects.filter(state=AlertState.FIRING).count(),
        checks=list(
            Check.objects.select_related("checkstate")
            .prefetch_related("turns")
            .annotate(measured_at=Max("turns__last_result_at"))
            .order_by(F("measured_at").desc(nulls_last=True), "name")[:SHOWN_CHECKS]
        ),
        pages=list(StatusPage.objects.order_by("created_at")[:3]),
        checks_in_all=sum(counts.values()),
    )
