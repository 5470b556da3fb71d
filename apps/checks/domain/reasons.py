"""Why a check is as it is, for its page."""

from collections.abc import Sequence

from apps.checks.domain.queries import latest_flips
from apps.checks.enums import State
from apps.checks.models import Check, Flip, Result

TOLD_BY_FLIPS = (State.DOWN, State.DEGRADED, State.UNKNOWN)
TOLD_BY_RESULTS = (*TOLD_BY_FLIPS, State.NEW)


def reason_of(check: Check, results: Sequence[Result]) -> Flip | Result | None:
    """Return what says why a check is not well: the flip that made it so, else the newest of its ``results``; None where it is
    well or held, or nothing is known of a reason."""
    state = check.checkstate.state
    told: list[Flip | Result] = [
        *(latest_flips(check, 1) if state in TOLD_BY_FLIPS else ()),
        *(results[:1] if state in TOLD_BY_RESULTS else ()),
    ]
    return next((each for each in told if each.error_code), None)
