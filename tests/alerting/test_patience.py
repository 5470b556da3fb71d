"""What holds messages back, and what time brings: silences, acknowledgements, reminders."""

from datetime import timedelta

import pytest
import time_machine

from apps.alerting.domain.alerts import NotFiring, acknowledge
from apps.alerting.domain.reminding import reevaluate_due
from apps.alerting.domain.rounds import consider_outage
from apps.alerting.domain.rules import RuleSettings, keep_rule
from apps.alerting.domain.silences import create_silence, end_silence
from apps.alerting.enums import AlertState, Reason, Trigger
from apps.alerting.models import Alert
from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.enums import EntryKind
from apps.incidents.models import Outage, OutageEntry
from apps.notifications.models import Channel, Delivery
from apps.tenants.models import Tenant
from tests.factories.alerting import answers, flip, make_channel, make_rule, messages
from tests.factories.checks import make_check
from tests.factories.incidents import NOON, make_outage, minute

pytestmark = pytest.mark.django_db
Hand = time_machine.Traveller


def test_silenced_outage_tells_nobody_but_leaves_a_trace(check: Check, hand: Hand) -> None:
    create_silence(ends_at=minute(30), actor=None, check=check, reason="Move")

    flip(check, State.DOWN, 1, hand)
    flip(check, State.UP, 5, hand)

    assert messages() == []
    assert answers() == [Reason.SILENCED, Reason.NOTHING_TOLD]
    assert Alert.objects.get().state == AlertState.RESOLVED
    kinds = OutageEntry.objects.values_list("kind", flat=True)
    assert sorted(kinds) == sorted([EntryKind.OPENED, EntryKind.SILENCED, EntryKind.RESOLVED])


def test_end_of_what_was_told_passes_a_silence_made_since(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    create_silence(ends_at=minute(30), actor=None)

    flip(check, State.UP, 5, hand)

    assert messages() == [("API is down", "Slack"), ("API recovered", "Slack")]


def test_end_of_a_silence_tells_what_it_held_back(check: Check, hand: Hand) -> None:
    create_silence(ends_at=minute(30), actor=None, tags=["eu"])
    flip(check, State.DOWN, 1, hand)
    looked_at = [Alert.objects.get().due_at]

    hand.move_to(minute(30))
    consider_outage(Outage.objects.get().id, Trigger.TIME)
    looked_at.append(Alert.objects.get().due_at)

    assert looked_at == [minute(30), minute(270)]
    assert messages() == [("API is down", "Slack")]
    assert Delivery.objects.get().message["facts"][-1] == ["Lasts", "29 min"]


def test_silence_ended_by_hand_has_alerts_looked_at_at_once(check: Check, hand: Hand) -> None:
    silence = create_silence(ends_at=minute(30), actor=None)
    flip(check, State.DOWN, 1, hand)
    hand.move_to(minute(2))

    end_silence(silence_id=silence.id)
    looked_at = reevaluate_due()

    silence.refresh_from_db()
    assert (silence.ends_at, looked_at, messages()) == (minute(2), 1, [("API is down", "Slack")])


def test_reminder_comes_after_the_rules_interval(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    titles = []

    for at in (239, 240, 241, 480):
        hand.move_to(minute(at))
        consider_outage(Outage.objects.get().id, Trigger.TIME)
        titles.append([title for title, _ in messages()][1:])

    assert titles == [[], ["API is still down"], ["API is still down"], ["API is still down"] * 2]


def test_looking_again_with_the_same_answer_does_not_lengthen_the_trace(check: Check, hand: Hand) -> None:
    create_silence(ends_at=minute(30), actor=None)
    flip(check, State.DOWN, 1, hand)

    for at in (2, 3, 4):
        hand.move_to(minute(at))
        consider_outage(Outage.objects.get().id, Trigger.TIME)

    assert answers() == [Reason.SILENCED]


def test_acknowledged_alert_gets_no_reminders_but_hears_of_worse_and_of_the_end(check: Check, hand: Hand) -> None:
    flip(check, State.DEGRADED, 0, hand)
    alert = Alert.objects.get()

    acknowledge(alert_id=alert.id, actor=None)
    acknowledge(alert_id=alert.id, actor=None)
    hand.move_to(minute(300))
    consider_outage(Outage.objects.get().id, Trigger.TIME)
    flip(check, State.DOWN, 301, hand)
    worse = Alert.objects.get()
    flip(check, State.UP, 302, hand)

    assert [title for title, _ in messages()] == ["API is degraded", "API is down", "API recovered"]
    assert (worse.state, worse.acknowledged_at) == (AlertState.ACKNOWLEDGED, NOON)
    assert OutageEntry.objects.filter(kind=EntryKind.ACKNOWLEDGED).count() == 1


def test_alert_that_is_over_cannot_be_acknowledged(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    flip(check, State.UP, 1, hand)

    with pytest.raises(NotFiring):
        acknowledge(alert_id=Alert.objects.get().id, actor=None)


def test_rule_without_a_channel_that_is_on_waits_for_one(check: Check, hand: Hand) -> None:
    Channel.objects.update(is_enabled=False)
    flip(check, State.DOWN, 0, hand)
    waited = (answers(), messages(), Alert.objects.get().due_at)

    make_channel("Mail")
    hand.move_to(minute(1))
    consider_outage(Outage.objects.get().id, Trigger.TIME)

    assert waited == ([Reason.NO_CHANNELS], [], minute(1))
    assert messages() == [("API is down", "Mail")]


def test_rule_without_reminders_is_never_due(in_acme: Tenant, hand: Hand) -> None:
    make_channel()
    make_rule(repeat_interval=None)

    consider_outage(make_outage(make_check()).id, Trigger.OPENED)

    assert Alert.objects.get().due_at is None


def test_changed_interval_counts_from_the_next_look(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    rule = Alert.objects.get().rule
    keep_rule(rule, RuleSettings(name=rule.name, repeat_interval=timedelta(minutes=15)))
    hand.move_to(minute(5))

    consider_outage(Outage.objects.get().id, Trigger.RULES)

    assert Alert.objects.get().due_at == minute(15)


def test_round_that_fails_is_looked_at_again_later(
    check: Check, hand: Hand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create_silence(ends_at=minute(30), actor=None)
    flip(check, State.DOWN, 1, hand)
    hand.move_to(minute(31))
    monkeypatch.setattr("apps.alerting.domain.rounds.run_pipeline", lambda _round: 1 / 0)

    looked_at = reevaluate_due()

    monkeypatch.undo()
    assert (looked_at, messages(), len(caplog.records)) == (1, [], 1)
    hand.move_to(minute(32))
    assert (reevaluate_due(), messages()) == (1, [("API is down", "Slack")])
