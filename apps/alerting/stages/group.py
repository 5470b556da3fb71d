"""Stage 5: what is told together?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import Candidate, Decision, Round, passed


def group(candidate: Candidate, round_: Round) -> Decision:
    """Name the group: the rule and the check, so every alert is a group of its own."""
    rule = candidate.rule.id if candidate.rule else "none"
    return passed(candidate, Reason.GROUPED, group_key=f"rule:{rule}/check:{round_.outage.check_id or 'none'}")
