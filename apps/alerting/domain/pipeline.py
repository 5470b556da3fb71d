"""The pipeline: one literal list, in this order."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from apps.alerting.enums import Reason, Verdict
from apps.alerting.stages.base import Candidate, Decision, Round, Stage
from apps.alerting.stages.dedup import dedup
from apps.alerting.stages.escalate import escalate
from apps.alerting.stages.group import group
from apps.alerting.stages.hold import hold
from apps.alerting.stages.inhibit import inhibit
from apps.alerting.stages.match_rules import match_rules
from apps.alerting.stages.plan_deliveries import plan_deliveries
from apps.alerting.stages.silence import silence

PIPELINE: tuple[Stage, ...] = (match_rules, inhibit, hold, silence, group, dedup, escalate, plan_deliveries)

LOOK_FOR_CHANNELS_EVERY = timedelta(minutes=1)
LOOK_FOR_PARENTS_EVERY = timedelta(minutes=1)  # its recovery is an event; only the end of its maintenance is none
WAIT_FOR_EVENTS = {Reason.INHIBITED, Reason.IN_MAINTENANCE, Reason.FLAPPING_TOLD, Reason.ACKNOWLEDGED}


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage decided; ``stage`` is its name in `PIPELINE`."""

    stage: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Outcome:
    """A candidate's way through the pipeline."""

    candidate: Candidate
    steps: tuple[Step, ...]

    @property
    def last(self) -> Decision:
        return self.steps[-1].decision

    @property
    def is_matched(self) -> bool:
        """Whether the rule cares: the alert fires, or was and is over."""
        return self.steps[0].decision.verdict == Verdict.PASSED


def run_pipeline(round_: Round) -> list[Outcome]:
    """Send every candidate through the stages, stage by stage, so that each sees which others came as far as it."""
    steps: dict[int, list[Step]] = {place: [] for place in range(len(round_.candidates))}
    latest = dict(enumerate(round_.candidates))
    on_their_way: Iterable[int] = list(latest)
    for stage in PIPELINE:
        seen = replace(round_, candidates=tuple(latest[place] for place in on_their_way))
        decisions = {place: stage(latest[place], seen) for place in on_their_way}
        for place, decision in decisions.items():
            steps[place].append(Step(stage.__name__, decision))
            latest[place] = decision.candidate
        on_their_way = [place for place, decision in decisions.items() if decision.verdict == Verdict.PASSED]
    return [Outcome(latest[place], tuple(taken)) for place, taken in steps.items()]


def next_look_at(outcome: Outcome, *, now: datetime) -> datetime | None:
    """Return when time alone may change the outcome: a silence's end, or the next reminder."""
    candidate, last = outcome.candidate, outcome.last
    if candidate.is_over or not candidate.rule:
        return None
    if last.reason == Reason.SILENCED:
        return datetime.fromisoformat(last.values["until"])
    if last.reason == Reason.NO_CHANNELS:
        return now + LOOK_FOR_CHANNELS_EVERY
    if last.reason == Reason.PARENT_UNDECIDED:
        return datetime.fromisoformat(last.values["look_at"])
    if last.reason == Reason.PARENT_DOWN:
        return now + LOOK_FOR_PARENTS_EVERY
    if last.reason in WAIT_FOR_EVENTS or candidate.rule.repeat_interval is None:
        return None
    told_at = now if candidate.messages else candidate.alert.last_notified_at
    return told_at + candidate.rule.repeat_interval if told_at else None
