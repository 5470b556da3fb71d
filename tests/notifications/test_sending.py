"""Working off deliveries: what each answer leads to, shown on real sockets and real transactions."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.core import clock
from apps.events.base import Event
from apps.notifications.channels.base import DeliveryError
from apps.notifications.channels.webhook import WebhookChannel
from apps.notifications.domain import trying
from apps.notifications.domain.channels import delete_channel
from apps.notifications.domain.sending import deliver_due
from apps.notifications.domain.trying import RETRY_DELAYS, next_wait
from apps.notifications.enums import DeliveryState
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.notifications.models import Channel, Delivery, DeliveryAttempt
from apps.tenants.models import Tenant
from tests.notifications.conftest import keys_of, plan, waits_for
from tests.peers.receiver import Heard, Receiver, Say

# now() stands still inside a transaction, so claims need real ones.
pytestmark = pytest.mark.django_db(transaction=True)

Answering = Callable[..., Receiver]


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    given: list[Event] = []
    monkeypatch.setattr(trying, "emit", given.append)
    return given


def make_due() -> None:
    """Let the wait of every delivery that waits be over."""
    Delivery.objects.filter(state=DeliveryState.PENDING).update(claimable_at=clock.now() - timedelta(seconds=1))


def test_planned_delivery_is_sent_once_and_noted(channel: Channel, receiver: Receiver, emitted: list[Event]) -> None:
    (delivery,) = plan(channel, "alert:1")

    assert deliver_due() == 1
    assert deliver_due() == 0

    delivery.refresh_from_db()
    channel.refresh_from_db()
    assert keys_of(receiver) == ["alert:1"]
    assert (delivery.state, delivery.attempts, delivery.failures) == (DeliveryState.SENT, 1, 0)
    assert delivery.sent_at is not None
    assert (channel.last_ok_at, channel.last_error) == (delivery.sent_at, "")
    (tried,) = DeliveryAttempt.objects.all()
    assert (tried.delivery_id, tried.number, tried.is_ok, tried.status_code) == (delivery.id, 1, True, 200)
    assert (tried.code, tried.detail) == ("", "ok")
    assert emitted == [DeliverySent(tenant_id=channel.tenant_id, delivery_id=delivery.id)]


@pytest.mark.parametrize(
    ("known", "is_noted"),
    [
        (
            {"last_ok_at": timedelta(milliseconds=-100)},
            False,
        ),  # as good as now: a storm's workers need not wait in line
        ({"last_ok_at": timedelta(seconds=-2)}, True),
        ({"last_ok_at": timedelta(hours=1)}, True),  # by a clock that was set back since
        ({"last_ok_at": timedelta(milliseconds=-100), "last_error": "refused"}, True),
    ],
)
def test_success_is_noted_on_the_channel_where_it_says_more_than_is_known(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], is_noted: bool
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    before = now + known["last_ok_at"]
    Channel.objects.update(**{**known, "last_ok_at": before})
    plan(channel, "alert:1")

    deliver_due()

    channel.refresh_from_db()
    assert (channel.last_ok_at, channel.last_error) == (now if is_noted else before, "")


def test_idle_round_is_one_query(in_acme: Tenant, django_assert_num_queries) -> None:
    with django_assert_num_queries(3):  # BEGIN and COMMIT around it
        assert deliver_due() == 0


def test_message_leaves_outside_any_transaction(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    send = WebhookChannel.deliver

    def spying(*args: object, **kwargs: object) -> object:
        seen.append(connection.in_atomic_block)
        return send(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(WebhookChannel, "deliver", spying)
    plan(channel, "alert:1")

    deliver_due()

    assert seen == [False]


def test_waits_grow_and_end_within_a_day() -> None:
    error = DeliveryError("no", code="http-500")

    waits = [next_wait(failures, error) for failures in range(1, 11)]

    seconds = [wait.total_seconds() if wait else None for wait in waits]
    assert seconds == [2, 10, 60, 300, 1800, 7200, 18000, 36000, 21600, None]
    assert timedelta(hours=23) < sum(RETRY_DELAYS, timedelta()) < timedelta(hours=24)


def test_patience_the_receiver_asks_for_wins_over_a_shorter_wait() -> None:
    asked = DeliveryError("no", code="http-429", retry_after=timedelta(seconds=30))

    assert next_wait(1, asked) == timedelta(seconds=30)
    assert next_wait(4, asked) == timedelta(seconds=300)
    assert next_wait(1, DeliveryError("no", code="x", permanent=True)) is None


def test_failure_waits_then_the_same_key_goes_out_again(
    channel: Channel, receiver: Receiver, emitted: list[Event]
) -> None:
    receiver.script = lambda number, _heard: Say(500, b"oops") if number == 1 else Say()
    (delivery,) = plan(channel, "alert:1")

    deliver_due()

    assert 1 < waits_for(delivery) <= 2
    channel.refresh_from_db()
    assert (delivery.state, delivery.failures) == (DeliveryState.PENDING, 1)
    assert delivery.last_error == channel.last_error == "The receiver answered with status 500."
    assert deliver_due() == 0
    make_due()
    assert deliver_due() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_error) == (DeliveryState.SENT, 2, "")
    assert keys_of(receiver) == ["alert:1", "alert:1"]
    tries = DeliveryAttempt.objects.order_by("number").values_list("number", "is_ok", "code", "status_code", "detail")
    assert list(tries) == [(1, False, "http-500", 500, "oops"), (2, True, "", 200, "ok")]
    assert [type(event) for event in emitted] == [DeliverySent]


def test_receiver_failing_every_fifth_time_gets_everything(channel: Channel, receiver: Receiver) -> None:
    receiver.script = lambda number, _heard: Say(500) if number % 5 == 0 else Say()
    wanted = [f"alert:{number}" for number in range(12)]
    plan(channel, *wanted)

    for _round in range(3):
        deliver_due()
        make_due()

    assert Delivery.objects.filter(state=DeliveryState.SENT).count() == 12
    assert len(receiver.heard) == 14  # 12 and the two that failed
    assert set(keys_of(receiver)) == set(wanted)


def test_retry_after_sets_the_wait(channel: Channel, receiver: Receiver) -> None:
    receiver.script = lambda _number, _heard: Say(429, b"", {"Retry-After": "77"})
    (delivery,) = plan(channel, "alert:1")

    deliver_due()

    assert 75 < waits_for(delivery) <= 77


def test_a_day_of_failures_ends_in_failed(channel: Channel, receiver: Receiver, emitted: list[Event]) -> None:
    receiver.script = lambda _number, _heard: Say(503)
    (delivery,) = plan(channel, "alert:1")

    for _try in range(12):
        deliver_due()
        make_due()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.failures, len(receiver.heard)) == (DeliveryState.FAILED, 10, 10)
    assert DeliveryAttempt.objects.count() == 10
    assert emitted == [DeliveryFailed(tenant_id=channel.tenant_id, delivery_id=delivery.id)]


def test_gone_receiver_switches_the_channel_off_and_cancels_what_waits(
    channel: Channel, receiver: Receiver, emitted: list[Event]
) -> None:
    receiver.script = lambda _number, _heard: Say(410)
    first, second = plan(channel, "alert:1", "alert:2")

    assert deliver_due() == 1

    for row in (channel, first, second):
        row.refresh_from_db()
    said = "The receiver wants no more messages (status 410)."
    assert (channel.is_enabled, channel.disabled_reason) == (False, said)
    assert (first.state, first.failures) == (DeliveryState.FAILED, 1)
    assert (second.state, second.last_error) == (DeliveryState.CANCELLED, said)
    assert [type(event) for event in emitted] == [DeliveryFailed]


def test_private_address_fails_at_once_where_the_tenant_may_not(channel: Channel, receiver: Receiver) -> None:
    Tenant.objects.filter(id=channel.tenant_id).update(allows_private_targets=False)
    (delivery,) = plan(channel, "alert:1")

    deliver_due()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.failures) == (DeliveryState.FAILED, 1)
    assert delivery.last_error.startswith("The address leads to a private or reserved network")
    assert receiver.heard == []


def test_fault_of_a_kind_is_noted_and_tried_again(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(WebhookChannel, "deliver", broken)
    (delivery,) = plan(channel, "alert:1")

    deliver_due()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error) == (DeliveryState.PENDING, "ZeroDivisionError: oh")
    assert DeliveryAttempt.objects.get().code == "internal"


def test_channel_of_a_kind_that_is_no_more_blocks_nobody(channel: Channel, receiver: Receiver) -> None:
    odd = Channel.objects.create(name="Odd", kind="pigeon")
    plan(odd, "odd:1")
    plan(channel, "alert:1")

    assert deliver_due() == 2

    assert keys_of(receiver) == ["alert:1"]
    assert Delivery.objects.get(key="odd:1").state == DeliveryState.PENDING


def test_channel_switched_off_after_planning_cancels(channel: Channel, receiver: Receiver) -> None:
    (delivery,) = plan(channel, "alert:1")
    Channel.objects.update(is_enabled=False, disabled_reason="Switched off by hand.")

    deliver_due()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error) == (DeliveryState.CANCELLED, "Switched off by hand.")
    assert receiver.heard == []


def test_deleted_channel_leaves_its_log(channel: Channel, receiver: Receiver) -> None:
    plan(channel, "alert:1")
    deliver_due()
    plan(channel, "alert:2")

    delete_channel(channel=channel)

    assert deliver_due() == 0
    states = Delivery.objects.order_by("key").values_list("key", "state", "channel_id", "channel_name", "last_error")
    assert list(states) == [
        ("alert:1", "sent", None, "Ops", ""),
        ("alert:2", "cancelled", None, "Ops", "The channel was deleted."),
    ]


def test_more_work_asks_for_one_more_run(channel: Channel, receiver: Receiver, hints: list[str]) -> None:
    plan(channel, "alert:1", "alert:2", "alert:3")
    hints.clear()

    deliver_due()

    assert hints == ["notifications.deliver@deliveries"]


def test_long_run_makes_room_and_leaves_a_hint(
    channel: Channel, hints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.notifications.domain.sending.RUN_TIME", timedelta(0))
    plan(channel, "alert:1", "alert:2")
    hints.clear()

    assert deliver_due() == 1

    assert hints == ["notifications.deliver@deliveries"] * 2


def test_slow_answer_shows_in_the_log(channel: Channel, receiver: Receiver) -> None:
    def slowly(_number: int, _heard: Heard) -> Say:
        time.sleep(0.2)
        return Say()

    receiver.script = slowly
    plan(channel, "alert:1")

    deliver_due()

    assert 200 <= DeliveryAttempt.objects.get().duration_ms < 10_000
