"""Stage 3: is this a time to wait?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import Candidate, Decision, Round, passed, stopped


def hold(candidate: Candidate, round_: Round) -> Decision:
    """Stop what is told of a check under maintenance, since whoever planned it knows, and of one that flaps, once that
    was said.

    The end passes, but for a flapping check: it would be followed by the next begin. When maintenance is over and the
    check is still not well, or when it has calmed down, what is true then is told.
    """
    if round_.outage.is_flapping and candidate.alert.has_told_flapping and (candidate.firing or candidate.alert.told):
        return stopped(candidate, Reason.FLAPPING_TOLD)
    if candidate.is_over:
        return passed(candidate, Reason.RESOLVE_ANYWAY)
    if round_.outage.is_in_maintenance:
        return stopped(candidate, Reason.IN_MAINTENANCE)
    return passed(candidate, Reason.NOT_HELD)
