"""Stage 2: is something graver told already?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import LADDER, Candidate, Decision, Round, passed, stopped, worst


def inhibit(candidate: Candidate, round_: Round) -> Decision:
    """Stop an alert while another one on the same check tells of something graver.

    Equals never inhibit each other, and an alert that reaches nobody inhibits none, so at least one of them is told.
    """
    if candidate.is_over:
        return passed(candidate, Reason.RESOLVE_ANYWAY)
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
