"""Stage 6: is there anything new to tell?"""

from datetime import datetime, timedelta

from apps.alerting.enums import Notice, Reason
from apps.alerting.stages.base import Candidate, Decision, Round, passed, still_holds, stopped

NEWS = {
    Notice.FIRING: Reason.FIRST,
    Notice.WORSE: Reason.WORSE,
    Notice.BETTER: Reason.BETTER,
    Notice.REPEAT: Reason.REPEAT_DUE,
    Notice.RESOLVED: Reason.ALL_RESOLVED,
}


def needs_update(
    *,
    firing: frozenset[str],
    told: frozenset[str],
    last_notified_at: datetime | None,
    repeat_interval: timedelta | None,
    tells_better: bool,
    now: datetime,
) -> Notice | None:
    """Return what is to be told, or None: the order of Alertmanager's ``needsUpdate`` (notify/dedup_stage.go).

    Nothing told yet: only what fires is news. Then: more fires than was told; nothing fires any more, told whether or not
    the rule wants to hear of ends (a later stage decides that); less fires; and last, the reminder.
    """
    if not told:
        return Notice.FIRING if firing else None
    if not firing <= told:
        return Notice.WORSE
    if not firing:
        return Notice.RESOLVED
    if tells_better and firing < told:
        return Notice.BETTER
    is_due = repeat_interval is not None and last_notified_at is not None and last_notified_at + repeat_interval <= now
    return Notice.REPEAT if is_due else None


def dedup(candidate: Candidate, round_: Round) -> Decision:
    """Stop what was told already."""
    rule, alert = candidate.rule, candidate.alert
    if round_.outage.is_flapping and candidate.firing:  # the stage before lets it come so far once
        return passed(candidate, Reason.FLAPPING, notice=Notice.FLAPPING)
    notice = needs_update(
        firing=candidate.firing,
        told=alert.told,
        last_notified_at=alert.last_notified_at,
        repeat_interval=rule.repeat_interval if rule else None,
        # A rule that covers less than before is no better news while the outage is as it was.
        tells_better=bool(rule and rule.notifies_on_resolve and not still_holds(alert, round_.outage)),
        now=round_.now,
    )
    if notice is None and _is_back(candidate, round_):
        return passed(candidate, Reason.AFTER_MAINTENANCE, notice=Notice.REPEAT)
    if notice is None:
        return stopped(candidate, Reason.NOTHING_NEW if candidate.firing else Reason.NOTHING_TOLD)
    return passed(candidate, NEWS[notice], notice=notice)


def _is_back(candidate: Candidate, round_: Round) -> bool:
    """Tell whether maintenance ended with the check still unwell, after the last message of it."""
    told_at, back_at = candidate.alert.last_notified_at, round_.outage.back_at
    return bool(candidate.firing and back_at and told_at and told_at < back_at)
