"""What becomes of an outage: alerts, messages, the trace."""

from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.alerting.domain.reminding import reevaluate_due
from apps.alerting.domain.rounds import consider_outage, consider_outages
from apps.alerting.domain.rules import delete_rule, keep_rule, settings_of
from apps.alerting.enums import AlertState, Reason, Trigger
from apps.alerting.handlers import on_outage_resolved
from apps.alerting.models import Alert, AlertRule, AlertStep, Mismatch
from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.domain.outages import account_for_flips
from apps.incidents.events import OutageResolved
from apps.incidents.models import Outage
from apps.notifications.models import Channel, Delivery
from apps.tenants.models import Tenant
from tests.factories.alerting import answers, flip, make_channel, make_rule, messages
from tests.factories.checks import make_check
from tests.factories.incidents import NOON, make_flip, make_outage, minute
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
Hand = time_machine.Traveller


def test_outage_makes_an_alert_and_a_message_per_channel(check: Check, in_acme: Tenant, settings: object) -> None:
    make_channel("Mail")
    outage = make_outage(check)

    consider_outage(outage.id, Trigger.OPENED)

    alert = Alert.objects.get()
    assert (alert.state, alert.severity, alert.starts_at, alert.ends_at) == (AlertState.FIRING, "down", NOON, None)
    assert (alert.last_notified_at, alert.last_notified_as, alert.notice_count) == (NOON, ["degraded", "down"], 1)
    assert alert.due_at == minute(240)
    assert sorted(messages()) == [("API is down", "Mail"), ("API is down", "Slack")]
    delivery = Delivery.objects.get(channel_name="Slack")
    assert (delivery.key, delivery.subject_kind, delivery.subject_id) == (
        f"alert:{alert.id}:1:firing:{delivery.channel_id}",
        "alert",
        alert.id,
    )
    assert delivery.message["facts"] == [
        ["Target", "http://127.0.0.1:9/"],
        ["Cause", "The server refused the connection."],
        ["Since", "2026-11-20 12:00:00 UTC"],
        ["Lasts", "0 s"],
    ]
    message = {name: delivery.message[name] for name in ("severity", "state", "text", "url", "footer", "thread")}
    assert message == {
        "severity": "critical",
        "state": "firing",
        "text": "The server refused the connection.",
        "url": f"{settings.PUBLIC_URL}/t/acme/outages/{outage.id}/",  # type: ignore[attr-defined]
        "footer": "Acme · rule “Everything”",
        "thread": f"alert:{alert.id}",
    }


def test_every_stage_leaves_its_step(check: Check) -> None:
    consider_outage(make_outage(check).id, Trigger.OPENED)

    steps = AlertStep.objects.order_by("position").values_list("stage", "verdict", "reason", "trigger")
    assert list(steps) == [
        ("match_rules", "passed", "matched", "opened"),
        ("inhibit", "passed", "not_inhibited", "opened"),
        ("hold", "passed", "not_held", "opened"),
        ("silence", "passed", "not_silenced", "opened"),
        ("group", "passed", "grouped", "opened"),
        ("dedup", "passed", "first", "opened"),
        ("escalate", "passed", "level", "opened"),
        ("plan_deliveries", "passed", "planned", "opened"),
    ]


def test_second_look_tells_nothing_new(check: Check) -> None:
    outage = make_outage(check)

    for _ in range(3):
        consider_outage(outage.id, Trigger.OPENED)

    assert (Alert.objects.count(), messages()) == (1, [("API is down", "Slack")])


def test_end_is_told_to_those_who_were_told(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    make_channel("Added later")
    flip(check, State.UP, 2, hand)

    alert = Alert.objects.get()
    assert (alert.state, alert.ends_at, alert.due_at, alert.last_notified_as) == (
        AlertState.RESOLVED,
        minute(2),
        None,
        [],
    )
    assert messages() == [("API is down", "Slack"), ("API recovered", "Slack")]
    facts = Delivery.objects.latest("id").message["facts"]
    assert facts[-2:] == [["Until", "2026-11-20 12:02:00 UTC"], ["Lasted", "2 min"]]


def test_degraded_down_degraded_up_is_told_step_by_step(check: Check, hand: Hand) -> None:
    for at, state in enumerate((State.DEGRADED, State.DOWN, State.DEGRADED, State.UP)):
        flip(check, state, at, hand)

    assert [title for title, _ in messages()] == [
        "API is degraded",
        "API is down",
        "API is degraded, no longer down",
        "API recovered",
    ]
    assert Alert.objects.count() == 1


def test_rule_that_does_not_tell_ends_tells_only_what_is_worse(check: Check, hand: Hand) -> None:
    Channel.objects.filter(name="Slack").update(is_default=False)
    make_rule("Worse only", notifies_on_resolve=False, channels=[make_channel("Pager", is_default=False)])
    for at, state in enumerate((State.DEGRADED, State.DOWN, State.DEGRADED, State.UP)):
        flip(check, state, at, hand)

    assert messages() == [("API is degraded", "Pager"), ("API is down", "Pager")]
    assert Alert.objects.get(rule_name="Worse only").state == AlertState.RESOLVED


def test_pause_is_told_as_no_longer_watched(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    flip(check, State.PAUSED, 1, hand)

    assert [title for title, _ in messages()] == ["API is down", "API is no longer watched"]


def test_outage_over_before_anyone_looked_is_told_with_begin_and_end(in_acme: Tenant) -> None:
    make_channel()
    make_rule()
    AlertRule.objects.update(created_at=NOON)
    outage = make_outage(make_check("API"), at=minute(1), ended_at=minute(3))

    consider_outage(outage.id, Trigger.RESOLVED)
    consider_outage(outage.id, Trigger.OPENED)

    assert [title for title, _ in messages()] == ["API is down", "API recovered"]
    alert = Alert.objects.get()
    assert (alert.state, alert.starts_at, alert.ends_at) == (AlertState.RESOLVED, minute(1), minute(3))


def test_new_rule_does_not_tell_of_what_was_over_before_it(in_acme: Tenant) -> None:
    outage = make_outage(make_check("API"), ended_at=minute(3))
    make_channel()
    make_rule()

    consider_outage(outage.id, Trigger.RESOLVED)

    assert (messages(), Alert.objects.count()) == ([], 0)


def test_rule_for_down_alone_fires_again_within_one_outage(in_acme: Tenant, hand: Hand) -> None:
    make_channel()
    make_rule(severities=["down"])
    check = make_check("API")
    states = []

    for at, state in enumerate((State.DEGRADED, State.DOWN, State.DEGRADED, State.DOWN, State.UP)):
        flip(check, state, at, hand)
        states.append(list(Alert.objects.values_list("state", "ends_at")))

    assert states == [
        [],
        [(AlertState.FIRING, None)],
        [(AlertState.RESOLVED, minute(2))],
        [(AlertState.FIRING, None)],
        [(AlertState.RESOLVED, minute(4))],
    ]
    assert [title for title, _ in messages()] == [
        "API is down",
        "API is degraded, no longer down",
        "API is down",
        "API recovered",
    ]
    assert len(set(Delivery.objects.values_list("key", flat=True))) == 4


def test_graver_alert_inhibits_the_milder_of_another_rule(check: Check, hand: Hand) -> None:
    make_rule("Slow ones", severities=["degraded"], channels=[make_channel("Mail", is_default=False)])

    flip(check, State.DOWN, 0, hand)
    flip(check, State.DEGRADED, 1, hand)
    flip(check, State.UP, 2, hand)

    mild = Alert.objects.get(rule_name="Slow ones")
    reasons = AlertStep.objects.filter(alert=mild, stage="inhibit").order_by("at").values_list("reason", flat=True)
    assert list(reasons) == [Reason.INHIBITED, Reason.NOT_INHIBITED, Reason.RESOLVE_ANYWAY]
    assert [pair for pair in messages() if pair[1] == "Mail"] == [
        ("API is degraded", "Mail"),
        ("API recovered", "Mail"),
    ]


def test_rule_that_does_not_match_leaves_its_reason(check: Check) -> None:
    make_rule("US", tags=["us"])
    outage = make_outage(check)

    consider_outage(outage.id, Trigger.OPENED)
    consider_outage(outage.id, Trigger.CHANGED)

    assert list(Mismatch.objects.values_list("rule__name", "reason", "values")) == [
        ("US", "other_tags", {"tags": "us"})
    ]
    assert list(Alert.objects.values_list("rule_name", flat=True)) == ["Everything"]


def test_deleted_rule_still_tells_the_end(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    delete_rule(Alert.objects.get().rule)

    flip(check, State.DEGRADED, 1, hand)
    flip(check, State.UP, 2, hand)

    assert [title for title, _ in messages()] == ["API is down", "API recovered"]
    assert answers() == [Reason.PLANNED, Reason.RULE_GONE, Reason.PLANNED]


def test_rule_switched_off_tells_nothing_but_the_end(check: Check, hand: Hand) -> None:
    flip(check, State.DEGRADED, 0, hand)
    rule = Alert.objects.get().rule
    keep_rule(rule, settings_of(rule, is_enabled=False))

    flip(check, State.DOWN, 1, hand)
    flip(check, State.UP, 2, hand)

    assert [title for title, _ in messages()] == ["API is degraded", "API recovered"]


def test_deleted_check_ends_its_alert_and_tells_so(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    check.delete()
    hand.move_to(minute(1))

    looked_at = [reevaluate_due(), reevaluate_due()]

    alert = Alert.objects.get()
    assert looked_at == [1, 0]
    assert (alert.state, alert.outage_id, alert.watched_id, alert.check_name) == (
        AlertState.RESOLVED,
        None,
        None,
        "API",
    )
    assert [title for title, _ in messages()] == ["API is down", "API is no longer watched"]


def test_rule_with_channels_of_its_own_leaves_the_default_ones_alone(check: Check) -> None:
    rule = make_rule("Pager", channels=[make_channel("Pager", is_default=False)])

    consider_outage(make_outage(check).id, Trigger.OPENED)

    assert rule.channels.count() == 1
    assert sorted(messages()) == [("API is down", "Pager"), ("API is down", "Slack")]


def test_outage_that_is_gone_is_passed_over(check: Check) -> None:
    outage = make_outage(check)
    check.delete()

    consider_outage(outage.id, Trigger.OPENED)

    assert Alert.objects.count() == 0


def test_round_asks_as_much_for_three_alerts_as_for_one(check: Check) -> None:
    outage = make_outage(check)
    consider_outage(outage.id, Trigger.OPENED)
    counts = [queries_of(lambda: consider_outage(outage.id, Trigger.CHANGED))]
    for number in (1, 2):
        make_rule(f"Rule {number}")
        consider_outage(outage.id, Trigger.RULES)
        counts.append(queries_of(lambda: consider_outage(outage.id, Trigger.CHANGED)))

    assert counts == [counts[0]] * 3


@pytest.mark.parametrize("count", [1, 4])
def test_rounds_of_many_outages_ask_as_much_as_one(in_acme: Tenant, count: int) -> None:
    make_rule("Everything", channels=[make_channel()])
    make_rule("Web", tags=["web"])
    outages = [make_outage(make_check(f"Check {number}")) for number in range(count)]

    with CaptureQueriesContext(connection) as captured:
        consider_outages([outage.id for outage in outages], Trigger.OPENED)

    assert sorted(messages()) == [(f"Check {number} is down", "Slack") for number in range(count)]
    assert Mismatch.objects.count() == count
    # Eight reads (the locks of checks and outages, outages, rules, channels, alerts, silences, dependencies), then
    # mismatches, alerts, steps, channels, deliveries, and the timeline.
    assert len([one for one in captured if "SAVEPOINT" not in one["sql"]]) == 14


@pytest.mark.parametrize("count", [1, 4])
def test_ends_of_many_outages_ask_as_much_as_one(in_acme: Tenant, count: int) -> None:
    make_rule("Everything", channels=[make_channel()])
    outages = [make_outage(make_check(f"Check {number}")) for number in range(count)]
    consider_outages([outage.id for outage in outages], Trigger.OPENED)
    for outage in outages:
        make_flip(outage.watched, State.UP, minute(1))
    account_for_flips([outage.watched_id for outage in outages])
    events = [
        OutageResolved(tenant_id=in_acme.id, check_id=outage.watched_id, outage_id=outage.id) for outage in outages
    ]

    with CaptureQueriesContext(connection) as captured:
        on_outage_resolved(events)

    assert sorted(messages())[1::2] == [(f"Check {number} recovered", "Slack") for number in range(count)]
    # As above without dependencies and mismatches, but with who was told (twice) and whether others depend on them.
    assert len([one for one in captured if "SAVEPOINT" not in one["sql"]]) == 15


def test_outages_looked_at_together_are_told_each_as_it_is(in_acme: Tenant) -> None:
    make_rule("Everything", channels=[make_channel()])
    AlertRule.objects.update(created_at=NOON)
    over = make_outage(make_check("Over"), at=minute(1), ended_at=minute(3))
    milder = make_outage(make_check("Milder"))
    make_flip(milder.watched, State.DEGRADED, minute(2))
    account_for_flips([milder.watched_id])
    fresh = make_outage(make_check("Fresh"))
    make_check("Deleted").delete()

    consider_outages([fresh.id, over.id, milder.id, uuid4()], Trigger.OPENED)

    assert sorted(title for title, _ in messages()) == [
        "Fresh is down",
        "Milder is degraded, no longer down",
        "Milder is down",
        "Over is down",
        "Over recovered",
    ]


def test_changed_alerts_are_shown_at_once(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("apps.alerting.domain.writing.publish", lambda topic, ids: said.append((topic, list(ids))))

    consider_outage(make_outage(check).id, Trigger.OPENED)

    assert said == [(f"tenant:{check.tenant_id}", [f"alert:{Alert.objects.get().id}"])]


def test_rule_for_degraded_alone_tells_the_truth_of_a_down_check(in_acme: Tenant, hand: Hand) -> None:
    make_rule(severities=["degraded"], channels=[make_channel()])
    check = make_check("API")

    for at, state in enumerate((State.DOWN, State.DEGRADED, State.UP)):
        flip(check, state, at, hand)

    assert [title for title, _ in messages()] == ["API is down", "API recovered"]
    assert Alert.objects.get().severity == "degraded"


def test_rule_narrowed_during_an_outage_tells_nothing_false(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    rule = Alert.objects.get().rule
    for at, severities in ((1, ["degraded"]), (2, ["down"])):
        hand.move_to(minute(at))
        keep_rule(rule, settings_of(rule, severities=severities))
        consider_outage(Outage.objects.get().id, Trigger.RULES)

    flip(check, State.UP, 3, hand)

    assert [title for title, _ in messages()] == ["API is down", "API recovered"]
