"""Stage 2: is something graver told already, or the cause?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import LADDER, Candidate, Decision, Round, passed, stopped, worst


def inhibit(candidate: Candidate, round_: Round) -> Decision:
    """Stop an alert while another one on the same check tells of something graver.

    A check behind another that is down says nothing of itself, and while it is not clear how that one is, nobody knows.
    Equals never inhibit each other, and an alert that reaches nobody inhibits none, so at least one of them is told.
    """
    if candidate.is_over:
        return passed(candidate, Reason.RESOLVE_ANYWAY)
    if parent := round_.outage.parent:
        until = {"look_at": parent.decided_by.isoformat()} if parent.decided_by else {}
        reason = Reason.PARENT_UNDECIDED if parent.decided_by else Reason.PARENT_DOWN
        return stopped(candidate, reason, values={"parent": parent.name, **until})
    for other in round_.candidates:
        if (
            other.rule
            and _gravity(other) > _gravity(candidate)
            and any(channel.is_enabled for channel in other.rule.channels)
        ):
            return stopped(candidate, Reason.INHIBITED, values={"rule": other.rule.name})
    return passed(candidate, Reason.NOT_INHIBITED)


def _gravity(candidate: Candidate) -> int:
    return LADDER.index(worst(candidate.firing)) if candidate.firing else -1
