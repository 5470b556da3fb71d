"""Stage 7: who hears of it?"""

from apps.alerting.enums import Notice, Reason
from apps.alerting.stages.base import Candidate, ChannelFacts, Decision, Round, passed, stopped


def escalate(candidate: Candidate, round_: Round) -> Decision:
    """Choose the channels: for news those of the rule (level 0), for the end those that were told that it began.

    An acknowledgement stops reminders; what is worse than what was acknowledged still passes.
    """
    if candidate.notice == Notice.RESOLVED:
        return _end(candidate)
    if candidate.notice == Notice.REPEAT and candidate.alert.is_acknowledged:
        return stopped(candidate, Reason.ACKNOWLEDGED)
    channels = tuple(channel for channel in candidate.rule.channels if channel.is_enabled) if candidate.rule else ()
    if not channels:
        return stopped(candidate, Reason.NO_CHANNELS)
    return passed(candidate, Reason.LEVEL, values={"level": 0, "channels": _names(channels)}, channels=channels)


def _end(candidate: Candidate) -> Decision:
    if candidate.rule and not candidate.rule.notifies_on_resolve:
        return stopped(candidate, Reason.NO_RESOLVES)
    channels = candidate.alert.told_channels
    if not channels:
        return stopped(candidate, Reason.NO_CHANNELS)
    return passed(candidate, Reason.TOLD_CHANNELS, values={"channels": _names(channels)}, channels=channels)


def _names(channels: tuple[ChannelFacts, ...]) -> str:
    return ", ".join(channel.name for channel in channels)
