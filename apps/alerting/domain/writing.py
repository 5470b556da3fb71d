"""Writing down what a run of the pipeline decided: alerts, the trace, deliveries, the outage's timeline."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from apps.alerting.domain.facts import SUBJECT
from apps.alerting.domain.messages import Story, build_message
from apps.alerting.domain.pipeline import PIPELINE, Outcome, next_look_at
from apps.alerting.domain.subjects import Subject
from apps.alerting.enums import AlertState, Notice, Reason, Trigger
from apps.alerting.models import Alert, AlertStep, Mismatch
from apps.alerting.stages.base import Candidate, worst
from apps.core.tenancy import current_tenant_id
from apps.incidents.domain.timeline import write_entry
from apps.incidents.enums import EntryKind
from apps.live.domain.publish import publish
from apps.notifications.domain.planning import Plan, plan_deliveries
from apps.notifications.domain.planning import Subject as DeliverySubject
from apps.notifications.models import Channel
from apps.tenants.models import Tenant

STAGES = {stage.__name__: position for position, stage in enumerate(PIPELINE)}
# A deadline that passed while we were at work must not make the sweep look again at once.
SHORTEST_WAIT = timedelta(seconds=10)


def write_round(
    outcomes: Sequence[Outcome], *, subject: Subject, alerts: Iterable[Alert], now: datetime, trigger: Trigger
) -> None:
    """Keep everything the round decided, in the caller's transaction. ``alerts`` are the rows there were, locked."""
    rows = {alert.id: alert for alert in alerts}
    concerned = [outcome for outcome in outcomes if outcome.is_matched or outcome.candidate.alert.id in rows]
    _write_mismatches([outcome for outcome in outcomes if outcome not in concerned], subject, now)
    for outcome in concerned:
        _write_alert(
            rows.get(outcome.candidate.alert.id) or _new_alert(outcome.candidate, subject), outcome, subject, now
        )
    _write_steps(concerned, now, trigger)
    _write_deliveries([outcome for outcome in concerned if outcome.candidate.messages], subject, now)
    _write_timeline(concerned, subject)
    publish(f"tenant:{current_tenant_id()}", [f"alert:{outcome.candidate.alert.id}" for outcome in concerned])


def _write_mismatches(outcomes: Iterable[Outcome], subject: Subject, now: datetime) -> None:
    """Keep why rules made no alert; what a second look at an outage that is over adds is no news."""
    rows = [
        Mismatch(
            outage_id=subject.outage_id,
            rule_id=rule.id,
            at=now,
            reason=outcome.last.reason,
            values=dict(outcome.last.values),
        )
        for outcome in outcomes
        if (rule := outcome.candidate.rule) and subject.outage_id and outcome.last.reason != Reason.OVER_BEFORE
    ]
    answer = ["at", "reason", "values"]
    Mismatch.objects.bulk_create(rows, update_conflicts=True, unique_fields=["outage", "rule"], update_fields=answer)


def _new_alert(candidate: Candidate, subject: Subject) -> Alert:
    assert candidate.rule  # noqa: S101 - only a rule makes an alert
    assert subject.outage_id  # noqa: S101 - only of an outage
    return Alert(
        id=candidate.alert.id,
        rule_id=candidate.rule.id,
        rule_name=candidate.rule.name,
        outage_id=subject.outage_id,
        watched_id=subject.check_id,
        check_name=subject.check_name,
        fingerprint=f"rule:{candidate.rule.id.hex}/outage:{subject.outage_id.hex}",
        starts_at=subject.started_at,
    )


def _write_alert(alert: Alert, outcome: Outcome, subject: Subject, now: datetime) -> None:
    candidate = outcome.candidate
    if candidate.messages:
        alert.last_notified_at, alert.last_notified_as = now, sorted(candidate.firing)
        alert.notice_count += 1
        alert.told_flapping_at = now if candidate.notice == Notice.FLAPPING else alert.told_flapping_at
    if candidate.firing:
        _fire(alert, candidate)
    elif outcome.is_matched and outcome.last.reason != Reason.FLAPPING_TOLD:  # whoever was told hears the end when calm
        alert.state, alert.ends_at, alert.last_notified_as = (
            AlertState.RESOLVED,
            max(subject.changed_at, alert.starts_at),
            [],
        )
    look_at = next_look_at(outcome, now=now)
    alert.due_at = max(look_at, now + SHORTEST_WAIT) if look_at else None
    alert.save()


def _fire(alert: Alert, candidate: Candidate) -> None:
    alert.severity, alert.ends_at = worst(candidate.firing), None
    alert.group_key = candidate.group_key or alert.group_key
    if alert.state == AlertState.RESOLVED:  # it fires again within the same outage
        alert.state, alert.acknowledged_by, alert.acknowledged_at = AlertState.FIRING, None, None


def _write_steps(outcomes: list[Outcome], now: datetime, trigger: Trigger) -> None:
    """Keep the trace. What time alone brought up again with the same answer is not repeated in it."""
    if trigger == Trigger.TIME:
        latest = _latest_answers(outcome.candidate.alert.id for outcome in outcomes)
        outcomes = [
            one for one in outcomes if one.candidate.messages or latest.get(one.candidate.alert.id) != one.last.reason
        ]
    AlertStep.objects.bulk_create(
        AlertStep(
            alert_id=outcome.candidate.alert.id,
            at=now,
            trigger=trigger,
            position=STAGES[step.stage],
            stage=step.stage,
            verdict=step.decision.verdict,
            reason=step.decision.reason,
            values=dict(step.decision.values),
        )
        for outcome in outcomes
        for step in outcome.steps
    )


def _latest_answers(alert_ids: Iterable[UUID]) -> dict[UUID, str]:
    steps = AlertStep.objects.filter(alert_id__in=list(alert_ids)).order_by("alert_id", "-at", "-position")
    return dict(steps.distinct("alert_id").values_list("alert_id", "reason"))


def _write_deliveries(outcomes: list[Outcome], subject: Subject, now: datetime) -> None:
    if not outcomes:
        return
    tenant = Tenant.objects.get(id=current_tenant_id())
    wanted = [message.channel_id for outcome in outcomes for message in outcome.candidate.messages]
    channels: dict[UUID, Channel] = Channel.objects.in_bulk(wanted)
    plans: list[Plan] = []
    for outcome in outcomes:
        candidate = outcome.candidate
        message = build_message(_story(candidate, subject, tenant), Notice(candidate.notice or ""), now=now)
        about = DeliverySubject(SUBJECT, candidate.alert.id)
        plans += [Plan(channels[one.channel_id], message, one.key, about) for one in candidate.messages]
    plan_deliveries(plans)


def _story(candidate: Candidate, subject: Subject, tenant: Tenant) -> Story:
    page = ("incidents:detail", subject.outage_id) if subject.outage_id else ("alerting:detail", candidate.alert.id)
    return Story(
        check_name=subject.check_name,
        target=subject.target,
        cause=subject.cause,
        severity=subject.severity,
        started_at=subject.started_at,
        ended_at=None if candidate.firing else subject.changed_at,
        goes_on=not subject.has_ended,
        is_watched=subject.is_watched,
        rule_name=candidate.rule.name if candidate.rule else "",
        tenant_name=tenant.name,
        time_zone=tenant.time_zone,
        url=settings.PUBLIC_URL + reverse(page[0], args=[tenant.slug, page[1]]),
        thread=f"alert:{candidate.alert.id}",
    )


def _write_timeline(outcomes: list[Outcome], subject: Subject) -> None:
    for outcome in outcomes:
        entry = _entry(outcome)
        if entry and subject.outage_id:
            kind, values = entry
            write_entry(outage_id=subject.outage_id, kind=kind, values=values)


def _entry(outcome: Outcome) -> tuple[EntryKind, dict[str, Any]] | None:
    candidate = outcome.candidate
    values = {"rule": candidate.rule.name if candidate.rule else "", "alert_id": str(candidate.alert.id)}
    if candidate.messages:
        return EntryKind.NOTIFIED, {**values, "channels": ", ".join(channel.name for channel in candidate.channels)}
    if outcome.last.reason == Reason.SILENCED and not candidate.alert.is_open:
        return EntryKind.SILENCED, values
    return None
