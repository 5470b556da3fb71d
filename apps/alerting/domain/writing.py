"""Writing down what a run of the pipeline decided: alerts, the trace, deliveries, the outage's timeline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from apps.core.postgres.inserting import insert_rows
from apps.incidents.domain.timeline import Line, write_entries
from apps.incidents.enums import EntryKind
from apps.live.domain.publish import publish
from apps.notifications.domain.planning import Plan, write_deliveries
from apps.notifications.domain.planning import Subject as DeliverySubject
from apps.notifications.models import Channel
from apps.tenants.models import Tenant

STAGES = {stage.__name__: position for position, stage in enumerate(PIPELINE)}
# A deadline that passed while we were at work must not make the sweep look again at once.
SHORTEST_WAIT = timedelta(seconds=10)
# What of an alert a later round may change.
CHANGING = (
    *("severity", "state", "ends_at", "group_key", "acknowledged_by", "acknowledged_at", "due_at"),
    *("last_notified_at", "last_notified_as", "told_flapping_at", "notice_count"),
)


@dataclass(frozen=True, slots=True)
class Decided:
    """What the pipeline made of one outage; ``alerts`` are the rows there were, locked."""

    subject: Subject
    outcomes: Sequence[Outcome]
    alerts: Sequence[Alert]

    @property
    def concerned(self) -> list[Outcome]:
        """The outcomes that make an alert or belong to one."""
        known = {alert.id for alert in self.alerts}
        return [one for one in self.outcomes if one.is_matched or one.candidate.alert.id in known]


def write_rounds(rounds: Sequence[Decided], *, tenant: Tenant, now: datetime, trigger: Trigger) -> None:
    """Keep everything that was decided, in the caller's transaction and with the same few statements for any number."""
    _write_mismatches(rounds, now)
    told = [(one.subject, outcome) for one in rounds for outcome in one.concerned]
    _write_alerts(rounds, now)
    _write_steps([outcome for _subject, outcome in told], now, trigger)
    _write_deliveries([(subject, outcome) for subject, outcome in told if outcome.candidate.messages], tenant, now)
    _write_timeline(told)
    publish(f"tenant:{tenant.id}", [f"alert:{outcome.candidate.alert.id}" for _subject, outcome in told])


def _write_mismatches(rounds: Iterable[Decided], now: datetime) -> None:
    """Keep why rules made no alert; what a second look at an outage that is over adds is no news."""
    rows = [
        Mismatch(
            outage_id=one.subject.outage_id,
            rule_id=outcome.candidate.rule.id,
            at=now,
            reason=outcome.last.reason,
            values=dict(outcome.last.values),
        )
        for one in rounds
        for outcome in one.outcomes
        if outcome not in one.concerned
        and outcome.candidate.rule
        and one.subject.outage_id
        and outcome.last.reason != Reason.OVER_BEFORE
    ]
    answer = ["at", "reason", "values"]
    Mismatch.objects.bulk_create(rows, update_conflicts=True, unique_fields=["outage", "rule"], update_fields=answer)


def _write_alerts(rounds: Iterable[Decided], now: datetime) -> None:
    made: list[Alert] = []
    changed: list[Alert] = []
    for one in rounds:
        rows = {alert.id: alert for alert in one.alerts}
        for outcome in one.concerned:
            known = rows.get(outcome.candidate.alert.id)
            alert = known or _new_alert(outcome.candidate, one.subject)
            _bring_in_line(alert, outcome, one.subject, now)
            (changed if known else made).append(alert)
    Alert.objects.bulk_create(made)
    if changed:
        Alert.objects.bulk_update(changed, CHANGING)


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


def _bring_in_line(alert: Alert, outcome: Outcome, subject: Subject, now: datetime) -> None:
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
    rows = [
        {
            "alert_id": outcome.candidate.alert.id,
            "at": now,
            "trigger": trigger,
            "position": STAGES[step.stage],
            "stage": step.stage,
            "verdict": step.decision.verdict,
            "reason": step.decision.reason,
            "values": dict(step.decision.values),
        }
        for outcome in outcomes
        for step in outcome.steps
    ]
    insert_rows(AlertStep, rows)


def _latest_answers(alert_ids: Iterable[UUID]) -> dict[UUID, str]:
    steps = AlertStep.objects.filter(alert_id__in=list(alert_ids)).order_by("alert_id", "-at", "-position")
    return dict(steps.distinct("alert_id").values_list("alert_id", "reason"))


def _write_deliveries(told: Sequence[tuple[Subject, Outcome]], tenant: Tenant, now: datetime) -> None:
    if not told:
        return
    wanted = {message.channel_id for _subject, outcome in told for message in outcome.candidate.messages}
    channels: dict[UUID, Channel] = Channel.objects.in_bulk(wanted)
    plans: list[Plan] = []
    for subject, outcome in told:
        candidate = outcome.candidate
        message = build_message(_story(candidate, subject, tenant), Notice(candidate.notice or ""), now=now)
        about = DeliverySubject(SUBJECT, candidate.alert.id)
        plans += [Plan(channels[one.channel_id], message, one.key, about) for one in candidate.messages]
    write_deliveries(plans)


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


def _write_timeline(told: Iterable[tuple[Subject, Outcome]]) -> None:
    lines = ((subject.outage_id, _entry(outcome)) for subject, outcome in told)
    write_entries([Line(outage_id, *entry) for outage_id, entry in lines if outage_id and entry])


def _entry(outcome: Outcome) -> tuple[EntryKind, dict[str, Any]] | None:
    candidate = outcome.candidate
    values = {"rule": candidate.rule.name if candidate.rule else "", "alert_id": str(candidate.alert.id)}
    if candidate.messages:
        return EntryKind.NOTIFIED, {**values, "channels": ", ".join(channel.name for channel in candidate.channels)}
    if outcome.last.reason == Reason.SILENCED and not candidate.alert.is_open:
        return EntryKind.SILENCED, values
    return None
