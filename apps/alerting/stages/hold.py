"""Stage 3: is this a time to wait?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import Candidate, Decision, Round, passed, stopped


def hold(candidate: Candidate, round_: Round) -> Decision:
    """Stop what is told of a check under maintenance: whoever planned it knows. Its end passes.

    When maintenance is over and the check is still not well, that is told, also to those who were told before.
    """
    if candidate.is_over:
        return passed(candidate, Reason.RESOLVE_ANYWAY)
    if round_.outage.is_in_maintenance:
        return stopped(candidate, Reason.IN_MAINTENANCE)
    return passed(candidate, Reason.NOT_HELD)
