"""Stage 4: did someone ask for quiet?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import Candidate, Decision, OutageFacts, Round, SilenceFacts, passed, stopped


def silence(candidate: Candidate, round_: Round) -> Decision:
    """Stop what an active silence covers. The end of what was told as firing passes: nobody is left waiting for it."""
    if candidate.is_over:
        return passed(candidate, Reason.RESOLVE_ANYWAY)
    covering = [one for one in round_.silences if covers(one, round_.outage)]
    if not covering:
        return passed(candidate, Reason.NOT_SILENCED)
    last = max(covering, key=lambda one: one.ends_at)
    values = {"until": last.ends_at.isoformat(), "reason": last.reason, "silence_id": str(last.id)}
    return stopped(candidate, Reason.SILENCED, values=values)


def covers(one: SilenceFacts, outage: OutageFacts) -> bool:
    """Tell whether a silence covers the outage's check: check and tags, where given, must both fit."""
    if one.check_id and one.check_id != outage.check_id:
        return False
    return not one.tags or bool(one.tags & outage.tags)
