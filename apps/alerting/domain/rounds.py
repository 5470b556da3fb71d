"""Running the pipeline over an outage: lock, read, decide, write down."""

from dataclasses import replace
from uuid import UUID

from django.db import transaction

from apps.alerting.domain import facts
from apps.alerting.domain.pipeline import run_pipeline
from apps.alerting.domain.subjects import Subject
from apps.alerting.domain.writing import write_round
from apps.alerting.enums import OPEN_STATES, Trigger
from apps.alerting.models import Alert
from apps.alerting.stages.base import AlertFacts, Candidate, OutageFacts, Round, RuleFacts
from apps.core import clock
from apps.core.ids import uuid7
from apps.incidents.enums import Severity
from apps.incidents.models import Outage


@transaction.atomic
def consider_outage(outage_id: UUID, trigger: Trigger) -> None:
    """Bring the outage's alerts in line with it and with the rules, and write down what must be sent.

    Safe to repeat and in any order: the outage is read as it is now. What it was before anyone looked is not lost: a rule
    that never saw it is shown it at its worst first, so that whoever wants to know of it hears both its begin and its end.
    """
    outage = _lock_outage(outage_id)
    if outage is None:
        return  # deleted with its check; the sweep ends its alerts
    rules, alerts = facts.read_rules(), _lock_alerts(outage)
    if outage.severity_now != outage.severity and trigger != Trigger.RULES:
        seen_by = {alert.rule_id for alert in alerts}
        unseen = [
            rule for rule in rules if rule.id not in seen_by and rule.created_at <= (outage.ended_at or clock.now())
        ]
        if unseen:
            _run(outage, Severity(outage.severity), trigger, rules=unseen, alerts=[])
            alerts = _lock_alerts(outage)
    _run(outage, outage.severity_now, trigger, rules=rules, alerts=alerts)


def _lock_outage(outage_id: UUID) -> Outage | None:
    """Make rivals (other handlers, the sweep) take turns; the weak lock lets them write rows that refer to it meanwhile.

    Locked by itself first: PostgreSQL drops a joined row whose partner changed while it waited for the lock.
    """
    outages = Outage.objects.filter(id=outage_id)
    if not outages.select_for_update(no_key=True).exists():
        return None
    found: Outage = outages.select_related("watched__checkstate", "last_flip").get()
    return found


def _lock_alerts(outage: Outage) -> list[Alert]:
    """Rival: someone acknowledging one."""
    return list(Alert.objects.select_for_update(no_key=True).filter(outage=outage).order_by("id"))


def _run(
    outage: Outage, severity: Severity | None, trigger: Trigger, *, rules: list[RuleFacts], alerts: list[Alert]
) -> None:
    now = clock.now()
    round_ = Round(
        now=now,
        outage=facts.outage_facts(outage, severity),
        silences=facts.read_silences(now),
        candidates=tuple(_candidates(rules, alerts, flapping_told=facts.read_flapping_told(outage.watched))),
    )
    subject = Subject.of_outage(outage, severity or Severity(outage.severity))
    write_round(run_pipeline(round_), subject=subject, alerts=alerts, now=now, trigger=trigger)


def _candidates(
    rules: list[RuleFacts], alerts: list[Alert], *, flapping_told: frozenset[UUID] = frozenset()
) -> list[Candidate]:
    """Return each rule with its alert, and the alerts whose rule is gone."""
    told = facts.read_told_channels(alerts)
    known = {alert.rule_id: facts.alert_facts(alert, told.get(alert.id, ())) for alert in alerts if alert.rule_id}
    orphans = [facts.alert_facts(alert, told.get(alert.id, ())) for alert in alerts if not alert.rule_id]
    ruled = [
        Candidate(
            rule=rule,
            alert=replace(known.get(rule.id) or AlertFacts(id=uuid7()), has_told_flapping=rule.id in flapping_told),
        )
        for rule in rules
    ]
    return [*ruled, *(Candidate(rule=None, alert=alert) for alert in orphans)]


def consider_check(check_id: UUID, trigger: Trigger) -> None:
    """Look again at all of a check that is open: its outage, and alerts whose end was held back."""
    unended = Alert.objects.filter(watched_id=check_id, state__in=OPEN_STATES, outage__isnull=False)
    outages = Outage.objects.filter(watched_id=check_id, ended_at=None)
    ids = {*unended.values_list("outage_id", flat=True), *outages.values_list("id", flat=True)}
    for outage_id in sorted(ids):
        consider_outage(outage_id, trigger)


@transaction.atomic
def end_orphan(alert_id: UUID) -> None:
    """End an alert whose outage was deleted with its check, and tell whoever was told."""
    alert = Alert.objects.select_for_update(no_key=True).filter(id=alert_id, outage=None).first()
    if alert is None or not alert.is_open:
        return  # rival: another sweep
    now = clock.now()
    rules = [rule for rule in facts.read_rules() if rule.id == alert.rule_id]
    candidates = [one for one in _candidates(rules, [alert]) if one.alert.id == alert.id]
    outcomes = run_pipeline(
        Round(now=now, outage=OutageFacts(check_id=None, severity=None), candidates=tuple(candidates))
    )
    write_round(outcomes, subject=Subject.of_orphan(alert, now), alerts=[alert], now=now, trigger=Trigger.GONE)
