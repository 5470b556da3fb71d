"""Stage 8: what exactly is sent?"""

from apps.alerting.enums import Reason
from apps.alerting.stages.base import Candidate, Decision, PlannedMessage, Round, passed


def plan_deliveries(candidate: Candidate, round_: Round) -> Decision:
    """Name one message per channel. The key counts the alert's notices, so planning the same one twice makes one delivery."""
    stem = f"alert:{candidate.alert.id}:{candidate.alert.notice_count + 1}:{candidate.notice}"
    messages = tuple(
        PlannedMessage(channel_id=channel.id, key=f"{stem}:{channel.id}") for channel in candidate.channels
    )
    return passed(candidate, Reason.PLANNED, values={"count": len(messages)}, messages=messages)
