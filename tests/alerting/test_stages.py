"""Each stage's decisions, as tables of values."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from apps.alerting.enums import Notice, Reason, Verdict
from apps.alerting.stages.base import (
    AlertFacts,
    Candidate,
    ChannelFacts,
    OutageFacts,
    PlannedMessage,
    Round,
    RuleFacts,
    SilenceFacts,
)
from apps.alerting.stages.dedup import dedup, needs_update
from apps.alerting.stages.escalate import escalate
from apps.alerting.stages.group import group
from apps.alerting.stages.hold import hold
from apps.alerting.stages.inhibit import inhibit
from apps.alerting.stages.match_rules import match_rules
from apps.alerting.stages.plan_deliveries import plan_deliveries
from apps.alerting.stages.silence import silence
from tests.factories.incidents import NOON, minute

CHECK, OTHER_CHECK, RULE, ALERT, SLACK, MAIL = (UUID(int=number) for number in range(1, 7))
NONE: frozenset[str] = frozenset()
DEGRADED, BOTH = frozenset({"degraded"}), frozenset({"degraded", "down"})
DOWN = frozenset({"down"})
REPEAT = timedelta(hours=4)
CHANNELS = (ChannelFacts(SLACK, "Slack"), ChannelFacts(MAIL, "Mail", is_enabled=False))


def a_rule(**fields: object) -> RuleFacts:
    given = {"id": RULE, "name": "All", "created_at": NOON, "channels": CHANNELS, "repeat_interval": REPEAT, **fields}
    return RuleFacts(**given)  # type: ignore[arg-type]


def a_candidate(
    *, rule: RuleFacts | None = None, firing: frozenset[str] = NONE, notice: Notice | None = None, **alert: object
) -> Candidate:
    facts = AlertFacts(**{"id": ALERT, **alert})  # type: ignore[arg-type]
    return Candidate(rule=rule or a_rule(), alert=facts, firing=firing, notice=notice)


def a_round(severity: str | None = "down", *, tags: frozenset[str] = NONE, **fields: object) -> Round:
    return Round(now=NOON, outage=OutageFacts(check_id=CHECK, severity=severity, tags=tags), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("firing", "is_in_maintenance", "reason"),
    [
        (BOTH, False, Reason.NOT_HELD),
        (BOTH, True, Reason.IN_MAINTENANCE),
        (NONE, True, Reason.RESOLVE_ANYWAY),
    ],
)
def test_hold(firing: frozenset[str], is_in_maintenance: bool, reason: Reason) -> None:
    facts = OutageFacts(check_id=CHECK, severity="down", is_in_maintenance=is_in_maintenance)

    decision = hold(a_candidate(firing=firing), Round(now=NOON, outage=facts))

    assert decision.reason == reason


@pytest.mark.parametrize(
    ("told_at", "back_at", "notice"),
    [(minute(-9), minute(-5), Notice.REPEAT), (minute(-5), minute(-9), None), (minute(-5), None, None)],
)
def test_still_unwell_after_maintenance_is_told_once(
    told_at: datetime, back_at: datetime | None, notice: Notice
) -> None:
    facts = OutageFacts(check_id=CHECK, severity="down", back_at=back_at)
    candidate = a_candidate(firing=BOTH, told=BOTH, is_open=True, last_notified_at=told_at)

    assert dedup(candidate, Round(now=NOON, outage=facts)).candidate.notice == notice


@pytest.mark.parametrize(
    ("severities", "outage", "is_open", "expected"),
    [
        (BOTH, "down", False, (Verdict.PASSED, Reason.MATCHED, BOTH)),
        (BOTH, "degraded", False, (Verdict.PASSED, Reason.MATCHED, DEGRADED)),
        (DOWN, "down", False, (Verdict.PASSED, Reason.MATCHED, BOTH)),
        (DOWN, "degraded", False, (Verdict.STOPPED, Reason.OTHER_SEVERITY, NONE)),
        (DOWN, "degraded", True, (Verdict.PASSED, Reason.OVER, NONE)),  # nothing told yet
        (DEGRADED, "down", False, (Verdict.PASSED, Reason.MATCHED, DEGRADED)),
        (BOTH, None, True, (Verdict.PASSED, Reason.OVER, NONE)),
        (BOTH, None, False, (Verdict.STOPPED, Reason.OVER_BEFORE, NONE)),
    ],
)
def test_match_rules_by_severity(
    severities: frozenset[str], outage: str | None, is_open: bool, expected: tuple[object, ...]
) -> None:
    decision = match_rules(a_candidate(rule=a_rule(severities=severities), is_open=is_open), a_round(outage))

    assert (decision.verdict, decision.reason, decision.candidate.firing) == expected


@pytest.mark.parametrize(
    ("rule", "tags", "expected"),
    [
        (
            a_rule(tags=frozenset({"eu"})),
            frozenset({"eu", "api"}),
            (Verdict.PASSED, Reason.MATCHED, {"severity": "down"}),
        ),
        (
            a_rule(tags=frozenset({"us", "eu"})),
            frozenset({"api"}),
            (Verdict.STOPPED, Reason.OTHER_TAGS, {"tags": "eu, us"}),
        ),
        (a_rule(tags=frozenset({"eu"})), NONE, (Verdict.STOPPED, Reason.OTHER_TAGS, {"tags": "eu"})),
        (a_rule(is_enabled=False), NONE, (Verdict.STOPPED, Reason.RULE_OFF, {})),
    ],
)
def test_match_rules_by_tags_and_switch(rule: RuleFacts, tags: frozenset[str], expected: tuple[object, ...]) -> None:
    decision = match_rules(a_candidate(rule=rule), a_round(tags=tags))

    assert (decision.verdict, decision.reason, decision.values) == expected


@pytest.mark.parametrize(
    ("rule", "outage", "expected"),
    [
        (None, "down", (Verdict.STOPPED, Reason.RULE_GONE)),
        (None, None, (Verdict.PASSED, Reason.OVER)),
        (a_rule(is_enabled=False), "down", (Verdict.STOPPED, Reason.RULE_OFF)),
        (a_rule(is_enabled=False), None, (Verdict.PASSED, Reason.OVER)),
        (a_rule(tags=frozenset({"x"})), "down", (Verdict.STOPPED, Reason.OTHER_TAGS)),
        (a_rule(tags=frozenset({"x"})), None, (Verdict.PASSED, Reason.OVER)),
    ],
)
def test_open_alert_whose_rule_stopped_caring_waits_for_the_outages_end(
    rule: RuleFacts | None, outage: str | None, expected: tuple[object, ...]
) -> None:
    candidate = replace(a_candidate(is_open=True, told=DOWN), rule=rule)

    decision = match_rules(candidate, a_round(outage))

    assert (decision.verdict, decision.reason) == expected


@pytest.mark.parametrize(
    ("told", "severities", "outage", "expected"),
    [
        # what was told is true no more
        (BOTH, DOWN, "degraded", (Verdict.PASSED, Reason.OVER)),
        (NONE, DOWN, "degraded", (Verdict.PASSED, Reason.OVER)),
        # the rule was narrowed, the outage is as it was
        (DEGRADED, DOWN, "degraded", (Verdict.STOPPED, Reason.OTHER_SEVERITY)),
    ],
)
def test_open_alert_is_over_only_when_what_was_told_is(
    told: frozenset[str], severities: frozenset[str], outage: str, expected: tuple[object, ...]
) -> None:
    candidate = a_candidate(rule=a_rule(severities=severities), is_open=True, told=told)

    decision = match_rules(candidate, a_round(outage))

    assert (decision.verdict, decision.reason) == expected


@pytest.mark.parametrize(
    ("outage", "expected"), [("degraded", (Reason.BETTER, Notice.BETTER)), ("down", (Reason.NOTHING_NEW, None))]
)
def test_less_is_better_news_only_if_the_outage_is(outage: str, expected: tuple[object, ...]) -> None:
    decision = dedup(a_candidate(firing=DEGRADED, told=BOTH, last_notified_at=NOON, is_open=True), a_round(outage))

    assert (decision.reason, decision.candidate.notice) == expected


OTHER = a_rule(id=UUID(int=9), name="Grave")


@pytest.mark.parametrize(
    ("firing", "other", "expected"),
    [
        (DEGRADED, a_candidate(rule=OTHER, firing=DOWN), (Verdict.STOPPED, Reason.INHIBITED, {"rule": "Grave"})),
        (DEGRADED, a_candidate(rule=OTHER, firing=BOTH), (Verdict.STOPPED, Reason.INHIBITED, {"rule": "Grave"})),
        (DEGRADED, a_candidate(rule=OTHER, firing=DEGRADED), (Verdict.PASSED, Reason.NOT_INHIBITED, {})),
        (DEGRADED, a_candidate(rule=OTHER, firing=NONE), (Verdict.PASSED, Reason.NOT_INHIBITED, {})),
        (
            DEGRADED,
            a_candidate(rule=replace(OTHER, channels=()), firing=DOWN),
            (Verdict.PASSED, Reason.NOT_INHIBITED, {}),
        ),
        (
            DEGRADED,
            a_candidate(rule=replace(OTHER, channels=CHANNELS[1:]), firing=DOWN),
            (Verdict.PASSED, Reason.NOT_INHIBITED, {}),
        ),
        (BOTH, a_candidate(rule=OTHER, firing=BOTH), (Verdict.PASSED, Reason.NOT_INHIBITED, {})),
        (BOTH, a_candidate(rule=OTHER, firing=DEGRADED), (Verdict.PASSED, Reason.NOT_INHIBITED, {})),
        (NONE, a_candidate(rule=OTHER, firing=DOWN), (Verdict.PASSED, Reason.RESOLVE_ANYWAY, {})),
    ],
)
def test_inhibit(firing: frozenset[str], other: Candidate, expected: tuple[object, ...]) -> None:
    candidate = a_candidate(firing=firing)

    decision = inhibit(candidate, a_round(candidates=(candidate, other)))

    assert (decision.verdict, decision.reason, decision.values) == expected


def a_silence(**fields: object) -> SilenceFacts:
    return SilenceFacts(**{"id": UUID(int=20), "ends_at": minute(30), **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (a_silence(), Reason.SILENCED),
        (a_silence(check_id=CHECK), Reason.SILENCED),
        (a_silence(check_id=OTHER_CHECK), Reason.NOT_SILENCED),
        (a_silence(tags=frozenset({"eu", "us"})), Reason.SILENCED),
        (a_silence(tags=frozenset({"us"})), Reason.NOT_SILENCED),
        (a_silence(check_id=CHECK, tags=frozenset({"us"})), Reason.NOT_SILENCED),
        (a_silence(check_id=CHECK, tags=frozenset({"eu"})), Reason.SILENCED),
    ],
)
def test_silence_covers_check_tags_or_all(one: SilenceFacts, expected: Reason) -> None:
    decision = silence(a_candidate(firing=DOWN), a_round(tags=frozenset({"eu"}), silences=(one,)))

    assert decision.reason == expected


def test_silence_names_the_one_that_ends_last() -> None:
    first, last = a_silence(), a_silence(id=UUID(int=21), ends_at=minute(60), reason="Move")

    decision = silence(a_candidate(firing=DOWN), a_round(silences=(last, first)))

    assert (decision.verdict, decision.values) == (
        Verdict.STOPPED,
        {"until": minute(60).isoformat(), "reason": "Move", "silence_id": str(last.id)},
    )


def test_silence_lets_the_end_pass() -> None:
    decision = silence(a_candidate(firing=NONE, told=DOWN, is_open=True), a_round(None, silences=(a_silence(),)))

    assert (decision.verdict, decision.reason) == (Verdict.PASSED, Reason.RESOLVE_ANYWAY)


def test_group_is_rule_and_check() -> None:
    decision = group(a_candidate(firing=DOWN), a_round())

    assert decision.candidate.group_key == f"rule:{RULE}/check:{CHECK}"


@pytest.mark.parametrize(
    ("firing", "told", "minutes_ago", "tells_better", "expected"),
    [
        # nothing told yet: only what fires is news
        (NONE, NONE, None, True, None),
        (DEGRADED, NONE, None, True, Notice.FIRING),
        (BOTH, NONE, None, True, Notice.FIRING),
        # told before, resolved since, fires again: first again, however short ago
        (DOWN, NONE, 1, True, Notice.FIRING),
        # more fires than was told
        (BOTH, DEGRADED, 1, True, Notice.WORSE),
        (BOTH, DEGRADED, 1, False, Notice.WORSE),
        # all resolved: told, whether the rule wants ends or not
        (NONE, DOWN, 1, True, Notice.RESOLVED),
        (NONE, BOTH, 1, False, Notice.RESOLVED),
        # less fires
        (DEGRADED, BOTH, 1, True, Notice.BETTER),
        (DEGRADED, BOTH, 1, False, None),
        (DEGRADED, BOTH, 240, False, Notice.REPEAT),
        # nothing new: not before the reminder is due
        (BOTH, BOTH, 0, True, None),
        (BOTH, BOTH, 239, True, None),
        (BOTH, BOTH, 240, True, Notice.REPEAT),
        (BOTH, BOTH, 241, False, Notice.REPEAT),
    ],
)
def test_needs_update_table(
    firing: frozenset[str], told: frozenset[str], minutes_ago: int | None, tells_better: bool, expected: Notice | None
) -> None:
    last = None if minutes_ago is None else minute(-minutes_ago)

    notice = needs_update(
        firing=firing, told=told, last_notified_at=last, repeat_interval=REPEAT, tells_better=tells_better, now=NOON
    )

    assert notice == expected


def test_needs_update_without_a_repeat_interval_never_reminds() -> None:
    notice = needs_update(
        firing=DOWN, told=DOWN, last_notified_at=minute(-100_000), repeat_interval=None, tells_better=True, now=NOON
    )

    assert notice is None


@pytest.mark.parametrize(
    ("firing", "alert", "expected"),
    [
        (DOWN, {}, (Verdict.PASSED, Reason.FIRST, Notice.FIRING)),
        (DOWN, {"told": DOWN, "last_notified_at": NOON}, (Verdict.STOPPED, Reason.NOTHING_NEW, None)),
        (NONE, {"is_open": True}, (Verdict.STOPPED, Reason.NOTHING_TOLD, None)),
        (NONE, {"told": DOWN, "last_notified_at": NOON}, (Verdict.PASSED, Reason.ALL_RESOLVED, Notice.RESOLVED)),
    ],
)
def test_dedup_says_why(firing: frozenset[str], alert: dict[str, object], expected: tuple[object, ...]) -> None:
    decision = dedup(a_candidate(firing=firing, **alert), a_round())

    assert (decision.verdict, decision.reason, decision.candidate.notice) == expected


TOLD = {"told": DOWN, "told_channels": CHANNELS}


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (a_candidate(notice=Notice.FIRING, firing=DOWN), (Reason.LEVEL, CHANNELS[:1])),
        (a_candidate(notice=Notice.FIRING, firing=DOWN, rule=a_rule(channels=())), (Reason.NO_CHANNELS, ())),
        (a_candidate(notice=Notice.FIRING, firing=DOWN, rule=a_rule(channels=CHANNELS[1:])), (Reason.NO_CHANNELS, ())),
        (a_candidate(notice=Notice.REPEAT, firing=DOWN), (Reason.LEVEL, CHANNELS[:1])),
        (a_candidate(notice=Notice.REPEAT, firing=DOWN, is_acknowledged=True), (Reason.ACKNOWLEDGED, ())),
        (a_candidate(notice=Notice.WORSE, firing=DOWN, is_acknowledged=True), (Reason.LEVEL, CHANNELS[:1])),
        (a_candidate(notice=Notice.RESOLVED, is_acknowledged=True, **TOLD), (Reason.TOLD_CHANNELS, CHANNELS)),
        (a_candidate(notice=Notice.RESOLVED), (Reason.NO_CHANNELS, ())),
        (a_candidate(notice=Notice.RESOLVED, rule=a_rule(notifies_on_resolve=False), **TOLD), (Reason.NO_RESOLVES, ())),
        (replace(a_candidate(notice=Notice.RESOLVED, **TOLD), rule=None), (Reason.TOLD_CHANNELS, CHANNELS)),
    ],
)
def test_escalate(candidate: Candidate, expected: tuple[object, ...]) -> None:
    decision = escalate(candidate, a_round())

    assert (decision.reason, decision.candidate.channels) == expected
    assert decision.verdict == (Verdict.PASSED if expected[1] else Verdict.STOPPED)


def test_plan_deliveries_names_the_same_message_the_same_way() -> None:
    candidate = replace(a_candidate(firing=DOWN, notice=Notice.REPEAT, notice_count=2), channels=CHANNELS)

    first, second = plan_deliveries(candidate, a_round()), plan_deliveries(candidate, a_round())

    keys = [f"alert:{ALERT}:3:repeat:{channel}" for channel in (SLACK, MAIL)]
    assert first.candidate.messages == tuple(
        PlannedMessage(channel_id=one.id, key=key) for one, key in zip(CHANNELS, keys, strict=True)
    )
    assert first.candidate == second.candidate
