"""Reading rows into the values that the stages look at."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q

from apps.alerting.domain.parents import read_parent
from apps.alerting.enums import AlertState
from apps.alerting.models import Alert, AlertRule, RuleChannel, Silence
from apps.alerting.stages.base import AlertFacts, ChannelFacts, OutageFacts, RuleFacts, SilenceFacts
from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.domain.outages import UNWELL
from apps.incidents.enums import Severity
from apps.incidents.models import Outage
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery

SUBJECT = "alert"


def read_rules() -> list[RuleFacts]:
    """Return the tenant's rules, oldest first, with their channels; a rule without any writes to the default ones."""
    of_rule = RuleChannel.objects.filter(rule=OuterRef("id")).values("channel")
    rules = list(AlertRule.objects.annotate(channel_ids=ArraySubquery(of_rule)).order_by("id"))
    wanted = {channel_id for rule in rules for channel_id in rule.channel_ids}
    rows = list(Channel.objects.filter(Q(is_default=True) | Q(id__in=wanted)).order_by("name"))
    defaults = tuple(_channel(row) for row in rows if row.is_default)
    return [
        _rule(rule, tuple(_channel(row) for row in rows if row.id in rule.channel_ids) or defaults) for rule in rules
    ]


def _channel(channel: Channel) -> ChannelFacts:
    return ChannelFacts(channel.id, channel.name, channel.is_enabled)


def _rule(rule: AlertRule, channels: tuple[ChannelFacts, ...]) -> RuleFacts:
    return RuleFacts(
        id=rule.id,
        name=rule.name,
        created_at=rule.created_at,
        is_enabled=rule.is_enabled,
        severities=frozenset(rule.severities),
        tags=frozenset(rule.tags),
        channels=channels,
        notifies_on_resolve=rule.notifies_on_resolve,
        repeat_interval=rule.repeat_interval,
    )


def outage_facts(outage: Outage, severity: Severity | None, *, above: Sequence[UUID]) -> OutageFacts:
    """Return the outage as it is, or was at that severity; reads its check with the state, and its last flip.

    ``above``: the checks that its check depends on.
    """
    last, is_in_maintenance = outage.last_flip, outage.watched.checkstate.state == State.MAINTENANCE
    return OutageFacts(
        check_id=outage.watched_id,
        severity=severity,
        tags=frozenset(outage.watched.tags),
        is_in_maintenance=is_in_maintenance,
        is_flapping=outage.watched.checkstate.is_flapping,
        parent=read_parent(outage, above) if severity and above else None,
        back_at=last.noticed_at if last.before == State.MAINTENANCE and last.after in UNWELL else None,
    )


def read_silences(now: datetime) -> tuple[SilenceFacts, ...]:
    """Return the silences that are active now."""
    active = Silence.objects.filter(starts_at__lte=now, ends_at__gt=now).order_by("ends_at")
    return tuple(
        SilenceFacts(
            id=one.id, ends_at=one.ends_at, check_id=one.watched_id, tags=frozenset(one.tags), reason=one.reason
        )
        for one in active
    )


def read_flapping_told(check: Check) -> frozenset[UUID]:
    """Return the rules that have told that the check flaps, since it does."""
    standing = check.checkstate
    if not standing.is_flapping:
        return frozenset()
    told = Alert.objects.filter(watched=check, told_flapping_at__gte=standing.flapping_since_at, rule__isnull=False)
    return frozenset(told.values_list("rule_id", flat=True))


def alert_facts(alert: Alert, told_channels: tuple[ChannelFacts, ...]) -> AlertFacts:
    return AlertFacts(
        id=alert.id,
        is_open=alert.is_open,
        is_acknowledged=alert.state == AlertState.ACKNOWLEDGED,
        told=frozenset(alert.last_notified_as),
        told_channels=told_channels,
        last_notified_at=alert.last_notified_at,
        notice_count=alert.notice_count,
    )


def read_told_channels(alerts: Sequence[Alert]) -> dict[UUID, tuple[ChannelFacts, ...]]:
    """Return for each alert the channels that still exist and were written to about it."""
    if not alerts:
        return {}
    told = Delivery.objects.filter(
        subject_kind=SUBJECT, subject_id__in=[alert.id for alert in alerts], channel__isnull=False
    )
    pairs = told.exclude(state=DeliveryState.CANCELLED).values_list("subject_id", "channel_id").distinct()
    by_alert: dict[UUID, set[UUID]] = {}
    for alert_id, channel_id in pairs:
        by_alert.setdefault(alert_id, set()).add(channel_id)
    wanted = {channel_id for ids in by_alert.values() for channel_id in ids}
    channels = [_channel(channel) for channel in Channel.objects.filter(id__in=wanted).order_by("name")]
    return {alert_id: tuple(one for one in channels if one.id in ids) for alert_id, ids in by_alert.items()}
