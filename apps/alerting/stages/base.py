"""What the stages look at and what they answer: plain values, read and written elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from apps.alerting.enums import Notice, Reason, Verdict

# Each severity contains the milder ones: what is down is also degraded. Mildest first.
LADDER = ("degraded", "down")


def at_least(severity: str) -> frozenset[str]:
    """Return the severity with all milder ones."""
    return frozenset(LADDER[: LADDER.index(severity) + 1])


def worst(severities: frozenset[str]) -> str:
    return max(severities, key=LADDER.index)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel, as far as the stages care."""

    id: UUID
    name: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """A rule; empty ``tags`` mean any check."""

    id: UUID
    name: str
    created_at: datetime
    is_enabled: bool = True
    severities: frozenset[str] = frozenset(LADDER)
    tags: frozenset[str] = frozenset()
    channels: tuple[ChannelFacts, ...] = ()
    notifies_on_resolve: bool = True
    repeat_interval: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFacts:
    """An alert as it stands before this round. ``told`` is what the last message called firing.

    ``has_told_flapping``: the rule has said of the check that it flaps since it does, be it about an earlier outage.
    """

    id: UUID
    is_open: bool = False
    is_acknowledged: bool = False
    told: frozenset[str] = frozenset()
    told_channels: tuple[ChannelFacts, ...] = ()
    has_told_flapping: bool = False
    last_notified_at: datetime | None = None
    notice_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceFacts:
    """A silence that is active now; without check and tags it covers everything."""

    id: UUID
    ends_at: datetime
    check_id: UUID | None = None
    tags: frozenset[str] = frozenset()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentFacts:
    """What keeps a check from being judged by itself: a check it depends on that is down, or may turn out to be.

    ``decided_by`` is empty while it is down; else it is when it will be clear at the latest.
    """

    name: str
    decided_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageFacts:
    """The fact that the alerts are about. ``severity`` is None once it is over.

    ``back_at`` is when the check was seen unwell again after maintenance, if that is the last news of it.
    """

    check_id: UUID | None
    severity: str | None
    tags: frozenset[str] = frozenset()
    is_in_maintenance: bool = False
    back_at: datetime | None = None
    is_flapping: bool = False
    parent: ParentFacts | None = None


def still_holds(alert: AlertFacts, outage: OutageFacts) -> bool:
    """Tell whether what was told last is still true of the outage."""
    return bool(alert.told) and outage.severity is not None and alert.told <= at_least(outage.severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One message to one channel, named by a key that is the same however often it is planned."""

    channel_id: UUID
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One rule's view of the outage on its way through the stages; ``rule`` is None once deleted.

    ``firing`` is the gravest severity that the rule covers, with all milder ones; empty when it is over.
    """

    rule: RuleFacts | None
    alert: AlertFacts
    firing: frozenset[str] = frozenset()
    group_key: str = ""
    notice: Notice | None = None
    channels: tuple[ChannelFacts, ...] = ()
    messages: tuple[PlannedMessage, ...] = ()

    @property
    def is_over(self) -> bool:
        return not self.firing


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Everything one run of the pipeline looks at. ``candidates`` are those that came as far as the present stage."""

    now: datetime
    outage: OutageFacts
    silences: tuple[SilenceFacts, ...] = ()
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage says about a candidate, and the candidate as it goes on."""

    candidate: Candidate
    verdict: Verdict
    reason: Reason
    values: Mapping[str, Any] = field(default_factory=dict)


Stage = Callable[[Candidate, Round], Decision]


def passed(
    candidate: Candidate, reason: Reason, *, values: Mapping[str, Any] | None = None, **changes: Any
) -> Decision:
    """Let the candidate go on, with what this stage found out."""
    return Decision(replace(candidate, **changes), Verdict.PASSED, reason, values or {})


def stopped(
    candidate: Candidate, reason: Reason, *, values: Mapping[str, Any] | None = None, **changes: Any
) -> Decision:
    """Take the candidate out of this round."""
    return Decision(replace(candidate, **changes), Verdict.STOPPED, reason, values or {})
