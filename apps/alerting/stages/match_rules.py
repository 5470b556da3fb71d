"""Stage 1: does the rule care about this outage?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import (
    Candidate,
    Decision,
    OutageFacts,
    Round,
    RuleFacts,
    at_least,
    passed,
    still_holds,
    stopped,
    worst,
)


def match_rules(candidate: Candidate, round_: Round) -> Decision:
    """Fill in what fires in the rule's eyes.

    A down check is degraded too, so a rule for degraded checks alone hears of it unless something graver inhibits it.
    An alert whose rule stopped caring while the outage goes on as it was waits: it is told as over when the outage is.
    """
    outage = round_.outage
    reason = _aloof(candidate.rule, outage)
    if outage.severity and not reason and candidate.rule:
        covered = at_least(outage.severity) & candidate.rule.severities
        if covered:
            level = worst(covered)
            return passed(candidate, Reason.MATCHED, values={"severity": level}, firing=at_least(level))
    if candidate.alert.is_open and (
        outage.severity is None or (not reason and not still_holds(candidate.alert, outage))
    ):
        return passed(candidate, Reason.OVER)
    return _refused(candidate, reason, outage)


def _aloof(rule: RuleFacts | None, outage: OutageFacts) -> Reason | None:
    """Return why the rule has no opinion on this check at all."""
    if rule is None:
        return Reason.RULE_GONE
    if not rule.is_enabled:
        return Reason.RULE_OFF
    return Reason.OTHER_TAGS if rule.tags and not rule.tags & outage.tags else None


def _refused(candidate: Candidate, reason: Reason | None, outage: OutageFacts) -> Decision:
    if reason == Reason.OTHER_TAGS and candidate.rule:
        return stopped(candidate, reason, values={"tags": ", ".join(sorted(candidate.rule.tags))})
    if reason:
        return stopped(candidate, reason)
    if outage.severity:
        return stopped(candidate, Reason.OTHER_SEVERITY, values={"severity": outage.severity})
    return stopped(candidate, Reason.OVER_BEFORE)
