"""Named reads of alerts, rules, silences and traces."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet

from apps.alerting.domain.facts import read_silences
from apps.alerting.enums import OPEN_STATES, AlertState
from apps.alerting.models import Alert, AlertRule, Mismatch, Silence
from apps.alerting.stages.base import OutageFacts
from apps.alerting.stages.silence import covers
from apps.core import clock

OPEN_FIRST = (F("ends_at").desc(nulls_first=True), F("starts_at").desc(), F("id").desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts; empty means any. ``text`` is found in the names of check and rule."""

    text: str = ""
    state: str = ""
    severity: str = ""
    check_id: UUID | None = None
    rule_id: UUID | None = None


def find_alerts(wanted: AlertFilter) -> QuerySet[Alert]:
    """Return the alerts with what a list shows of them; unordered. The state ``open`` is any but resolved."""
    found: QuerySet[Alert] = Alert.objects.select_related("watched", "acknowledged_by")
    if wanted.text:
        found = found.filter(Q(check_name__icontains=wanted.text) | Q(rule_name__icontains=wanted.text))
    if wanted.state:
        found = found.filter(state__in=OPEN_STATES if wanted.state == "open" else [wanted.state])
    if wanted.severity:
        found = found.filter(severity=wanted.severity)
    if wanted.check_id:
        found = found.filter(watched_id=wanted.check_id)
    return found.filter(rule_id=wanted.rule_id) if wanted.rule_id else found


def firing_alert_count() -> int:
    return int(Alert.objects.filter(state=AlertState.FIRING).count())


def silenced_ids(alerts: Iterable[Alert]) -> frozenset[UUID]:
    """Return which of the open alerts (with their checks) an active silence covers at this moment."""
    silences = read_silences(clock.now())
    return frozenset(
        alert.id
        for alert in alerts
        if alert.is_open and alert.watched and any(covers(one, _outage_of(alert)) for one in silences)
    )


def _outage_of(alert: Alert) -> OutageFacts:
    tags = frozenset(alert.watched.tags) if alert.watched else frozenset()
    return OutageFacts(check_id=alert.watched_id, severity=alert.severity, tags=tags)


def rules_with_counts() -> QuerySet[AlertRule]:
    """Return the rules by name with their channels and the number of their open alerts."""
    open_alerts = Count("alerts", filter=Q(alerts__state__in=OPEN_STATES))
    found: QuerySet[AlertRule] = AlertRule.objects.prefetch_related("channels").order_by("name", "id")
    return cast("QuerySet[AlertRule]", found.annotate(open_alerts=open_alerts))


def silences_now_and_later() -> QuerySet[Silence]:
    """Return what is or will be silent, the first to end first."""
    found: QuerySet[Silence] = Silence.objects.filter(ends_at__gt=clock.now()).select_related("watched", "created_by")
    return found.order_by("ends_at", "id")


def silences_past() -> QuerySet[Silence]:
    """Return what is over, the last first."""
    found: QuerySet[Silence] = Silence.objects.filter(ends_at__lte=clock.now()).select_related("watched", "created_by")
    return found.order_by("-ends_at", "-id")


def alerts_of_outage(outage_id: UUID) -> list[Alert]:
    return list(Alert.objects.filter(outage_id=outage_id).select_related("watched").order_by("id"))


def mismatches_of(outage_id: UUID) -> list[Mismatch]:
    """Return the rules that made no alert of the outage, and why; those that did since are left out."""
    matched = Alert.objects.filter(outage_id=outage_id, rule__isnull=False).values("rule_id")
    found = Mismatch.objects.filter(outage_id=outage_id).exclude(rule_id__in=matched)
    return list(found.select_related("rule").order_by("rule__name"))
