"""The stages in their order: who stops where, and when a rule and its outage are looked at again."""

from uuid import UUID

import pytest

from apps.alerting.domain.pipeline import PIPELINE, next_look_at, run_pipeline
from apps.alerting.enums import Reason
from apps.alerting.stages.base import Candidate, SilenceFacts
from tests.alerting.test_stages import BOTH, a_candidate, a_round, a_rule, a_silence
from tests.factories.incidents import NOON, minute


def test_pipeline_is_the_literal_list() -> None:
    names = [stage.__name__ for stage in PIPELINE]

    assert names == ["match_rules", "inhibit", "hold", "silence", "group", "dedup", "escalate", "plan_deliveries"]


def test_run_pipeline_leaves_a_step_per_stage_until_one_stops() -> None:
    told = a_candidate(rule=a_rule(id=UUID(int=30)), is_open=True, told=BOTH, last_notified_at=NOON)
    deaf = a_candidate(rule=a_rule(id=UUID(int=31), tags=frozenset({"x"})))

    outcomes = run_pipeline(a_round(candidates=(a_candidate(), told, deaf)))

    assert [[step.decision.reason for step in outcome.steps] for outcome in outcomes] == [
        [
            *(Reason.MATCHED, Reason.NOT_INHIBITED, Reason.NOT_HELD, Reason.NOT_SILENCED, Reason.GROUPED),
            *(Reason.FIRST, Reason.LEVEL, Reason.PLANNED),
        ],
        [
            Reason.MATCHED,
            Reason.NOT_INHIBITED,
            Reason.NOT_HELD,
            Reason.NOT_SILENCED,
            Reason.GROUPED,
            Reason.NOTHING_NEW,
        ],
        [Reason.OTHER_TAGS],
    ]
    assert [outcome.is_matched for outcome in outcomes] == [True, True, False]


@pytest.mark.parametrize(
    ("candidate", "severity", "silences", "expected"),
    [
        (a_candidate(), "down", (), minute(240)),
        (a_candidate(rule=a_rule(repeat_interval=None)), "down", (), None),
        (a_candidate(), "down", (a_silence(),), minute(30)),
        (a_candidate(rule=a_rule(channels=())), "down", (), minute(1)),
        (a_candidate(is_open=True, told=BOTH, last_notified_at=minute(-10)), "down", (), minute(230)),
        (a_candidate(is_open=True, told=BOTH, last_notified_at=minute(-300), is_acknowledged=True), "down", (), None),
        (a_candidate(is_open=True, told=BOTH, last_notified_at=minute(-10)), None, (), None),
        (a_candidate(rule=a_rule(is_enabled=False), is_open=True, told=BOTH), "down", (), None),
    ],
)
def test_next_look_at(
    candidate: Candidate, severity: str | None, silences: tuple[SilenceFacts, ...], expected: object
) -> None:
    (outcome,) = run_pipeline(a_round(severity, silences=silences, candidates=(candidate,)))

    assert next_look_at(outcome, now=NOON) == expected
