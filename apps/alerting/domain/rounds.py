"""Running the pipeline over outages: lock, read, decide, write down."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import connection, transaction

from apps.alerting.domain import facts
from apps.alerting.domain.pipeline import run_pipeline
from apps.alerting.domain.subjects import Subject
from apps.alerting.domain.writing import Decided, write_rounds
from apps.alerting.enums import OPEN_STATES, Trigger
from apps.alerting.models import Alert
from apps.alerting.stages.base import AlertFacts, Candidate, ChannelFacts, OutageFacts, Round, RuleFacts
from apps.checks.domain.dependencies import ancestors_of
from apps.core import clock
from apps.core.ids import uuid7
from apps.incidents.enums import Severity
from apps.incidents.models import Outage


def consider_outage(outage_id: UUID, trigger: Trigger) -> None:
    """`consider_outages` for one."""
    consider_outages([outage_id], trigger)


@dataclass(frozen=True, slots=True)
class Look:
    """An outage as it is, or was at that severity, with the rules that shall look at it and its alerts, locked."""

    outage: Outage
    severity: Severity | None
    rules: Sequence[RuleFacts]
    alerts: Sequence[Alert]


# Without a savepoint: whoever opened a transaction around us gives up as a whole.
@transaction.atomic(savepoint=False)
def consider_outages(outage_ids: Collection[UUID], trigger: Trigger) -> None:
    """Bring the outages' alerts in line with them and with the rules, and write down what must be sent.

    Safe to repeat and in any order: each outage is read as it is now. What it was before anyone looked is not lost: a rule
    that never saw it is shown it at its worst first, so that whoever wants to know of it hears both its begin and its end.
    Outages deleted with their checks are passed over; the sweep ends their alerts.
    """
    outages = _lock_outages(outage_ids)
    if not outages:
        return
    rules, alerts = facts.read_rules(), _lock_alerts(outages)
    if trigger != Trigger.RULES:
        overlooked = [look for outage in outages if (look := _overlooked(outage, rules, alerts[outage.id]))]
        if overlooked:
            _run(overlooked, trigger)
            alerts |= _lock_alerts([look.outage for look in overlooked])
    _run([Look(outage, outage.severity_now, rules, alerts[outage.id]) for outage in outages], trigger)


def _overlooked(outage: Outage, rules: Sequence[RuleFacts], alerts: Sequence[Alert]) -> Look | None:
    """Return the outage at its worst for the rules that have not seen it, where it is no longer that."""
    if outage.severity_now == outage.severity:
        return None
    seen_by, until = {alert.rule_id for alert in alerts}, outage.ended_at or clock.now()
    unseen = [rule for rule in rules if rule.id not in seen_by and rule.created_at <= until]
    return Look(outage, Severity(outage.severity), unseen, []) if unseen else None


# Rival: somebody deleting checks, who locks them before their outages; what we write refers to both.
KEEP_CHECKS = """
SELECT FROM checks_check AS watched
WHERE id IN (SELECT check_id FROM incidents_outage WHERE id = ANY(%s)) ORDER BY id FOR KEY SHARE OF watched
"""


def _lock_outages(outage_ids: Collection[UUID]) -> list[Outage]:
    """Make rivals (other handlers, the sweep) take turns; the weak lock lets them write rows that refer to it meanwhile.

    Locked by themselves first: PostgreSQL drops a joined row whose partner changed while it waited for the lock. In the order
    of their ids, so that rivals with several wait instead of dying.
    """
    with connection.cursor() as cursor:
        cursor.execute(KEEP_CHECKS, [list(outage_ids)])
    locked = Outage.objects.filter(id__in=outage_ids).select_for_update(no_key=True).order_by("id")
    ids = list(locked.values_list("id", flat=True))
    found = Outage.objects.filter(id__in=ids).select_related("watched__checkstate", "last_flip", "tenant")
    return list(found.order_by("id")) if ids else []


def _lock_alerts(outages: Iterable[Outage]) -> dict[UUID, list[Alert]]:
    """Rival: someone acknowledging one."""
    found: dict[UUID, list[Alert]] = {outage.id: [] for outage in outages}
    for alert in Alert.objects.select_for_update(no_key=True).filter(outage__in=list(found)).order_by("id"):
        found[alert.outage_id].append(alert)
    return found


def _run(looks: Sequence[Look], trigger: Trigger) -> None:
    now = clock.now()
    silences, told = facts.read_silences(now), facts.read_told_channels([one for look in looks for one in look.alerts])
    unwell = [look.outage.watched_id for look in looks if look.severity]
    above = ancestors_of(unwell) if unwell else {}
    decided = []
    for look in looks:
        outage, severity = look.outage, look.severity
        round_ = Round(
            now=now,
            outage=facts.outage_facts(outage, severity, above=above.get(outage.watched_id, ())),
            silences=silences,
            candidates=tuple(_candidates(look, told, flapping_told=facts.read_flapping_told(outage.watched))),
        )
        subject = Subject.of_outage(outage, severity or Severity(outage.severity))
        decided.append(Decided(subject, run_pipeline(round_), look.alerts))
    write_rounds(decided, tenant=looks[0].outage.tenant, now=now, trigger=trigger)


def _candidates(
    look: Look, told: Mapping[UUID, tuple[ChannelFacts, ...]], *, flapping_told: frozenset[UUID]
) -> list[Candidate]:
    """Return each rule with its alert, and the alerts whose rule is gone."""
    known = {alert.rule_id: facts.alert_facts(alert, told.get(alert.id, ())) for alert in look.alerts if alert.rule_id}
    orphans = [facts.alert_facts(alert, told.get(alert.id, ())) for alert in look.alerts if not alert.rule_id]
    ruled = [
        Candidate(
            rule=rule,
            alert=replace(known.get(rule.id) or AlertFacts(id=uuid7()), has_told_flapping=rule.id in flapping_told),
        )
        for rule in look.rules
    ]
    return [*ruled, *(Candidate(rule=None, alert=alert) for alert in orphans)]


def consider_check(check_id: UUID, trigger: Trigger) -> None:
    """Look again at all of a check that is open: its outage, and alerts whose end was held back."""
    unended = Alert.objects.filter(watched_id=check_id, state__in=OPEN_STATES, outage__isnull=False)
    outages = Outage.objects.filter(watched_id=check_id, ended_at=None)
    ids = {*unended.values_list("outage_id", flat=True), *outages.values_list("id", flat=True)}
    consider_outages(ids, trigger)


@transaction.atomic
def end_orphan(alert_id: UUID) -> None:
    """End an alert whose outage was deleted with its check, and tell whoever was told."""
    alert = Alert.objects.select_for_update(no_key=True).filter(id=alert_id, outage=None).first()
    if alert is None or not alert.is_open:
        return  # rival: another sweep
    now = clock.now()
    rule = next((rule for rule in facts.read_rules() if rule.id == alert.rule_id), None)
    candidate = Candidate(
        rule=rule, alert=facts.alert_facts(alert, facts.read_told_channels([alert]).get(alert.id, ()))
    )
    round_ = Round(now=now, outage=OutageFacts(check_id=None, severity=None), candidates=(candidate,))
    decided = Decided(Subject.of_orphan(alert, now), run_pipeline(round_), [alert])
    write_rounds([decided], tenant=alert.tenant, now=now, trigger=Trigger.GONE)
