"""Planning: idempotent by key, in the caller's transaction."""

from datetime import UTC, datetime

import pytest
from django.db import transaction

from apps.core.ids import uuid7
from apps.core.tenancy import tenant_scope
from apps.notifications.channels.base import Fact, Message
from apps.notifications.domain.planning import (
    Plan,
    ResendRefused,
    Subject,
    cancel_open,
    plan_deliveries,
    plan_delivery,
    resend,
)
from apps.notifications.enums import DeliveryState, MessageState, Severity
from apps.notifications.models import Channel, Delivery
from apps.tenants.models import Tenant

WRITTEN_AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MESSAGE = Message(
    title="api is down",
    text="Connection refused",
    severity=Severity.CRITICAL,
    state=MessageState.FIRING,
    facts=(Fact("Check", "api"), Fact("Region", "local")),
    url="https://obsera.example/t/acme/alerts/1/",
    started_at=WRITTEN_AT,
    footer="Acme",
    thread="alert:1",
    written_at=WRITTEN_AT,
)


@pytest.fixture
def channel(in_acme: Tenant) -> Channel:
    return Channel.objects.create(name="Ops", kind="webhook")


def test_message_survives_json() -> None:
    assert Message.from_json(MESSAGE.to_json()) == MESSAGE


def test_plan_writes_one_pending_row_with_the_message(channel: Channel) -> None:
    subject = Subject("alert", uuid7())

    delivery = plan_delivery(channel=channel, message=MESSAGE, key="alert:1:firing", subject=subject)

    row = Delivery.objects.get()
    assert row == delivery
    assert (row.state, row.key, row.attempts, row.failures) == (DeliveryState.PENDING, "alert:1:firing", 0, 0)
    assert (row.channel_name, row.channel_kind) == ("Ops", "webhook")
    assert (row.subject_kind, row.subject_id) == ("alert", subject.id)
    assert Message.from_json(row.message) == MESSAGE


def test_plan_with_a_known_key_returns_the_first_row_unchanged(channel: Channel) -> None:
    first = plan_delivery(channel=channel, message=MESSAGE, key="alert:1")

    second = plan_delivery(channel=channel, message=Message(title="other"), key="alert:1")

    assert second == first
    assert Delivery.objects.count() == 1
    assert Delivery.objects.get().message["title"] == "api is down"


def test_same_key_in_two_tenants_is_two_deliveries(channel: Channel, globex: Tenant) -> None:
    plan_delivery(channel=channel, message=MESSAGE, key="alert:1")
    with tenant_scope(globex.id):
        theirs = Channel.objects.create(name="Ops", kind="webhook")

        plan_delivery(channel=theirs, message=MESSAGE, key="alert:1")

        assert Delivery.objects.count() == 1
    assert Delivery.objects.count() == 1


def test_many_plans_cost_two_queries_and_keep_their_order(channel: Channel, django_assert_num_queries) -> None:
    plans = [Plan(channel, MESSAGE, f"alert:{number}") for number in (3, 1, 2, 1)]

    with django_assert_num_queries(2):
        deliveries = plan_deliveries(plans)

    assert [delivery.key for delivery in deliveries] == ["alert:3", "alert:1", "alert:2", "alert:1"]


def test_rolled_back_plan_leaves_nothing(channel: Channel) -> None:
    with transaction.atomic():
        plan_delivery(channel=channel, message=MESSAGE, key="alert:1")
        transaction.set_rollback(True)

    assert Delivery.objects.count() == 0


def test_commit_hints_the_workers_once_per_call(
    channel: Channel, hints: list[str], django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        plan_deliveries([Plan(channel, MESSAGE, "alert:1"), Plan(channel, MESSAGE, "alert:2")])

        assert hints == []
    assert hints == ["notifications.deliver@deliveries"]


@pytest.mark.parametrize("key", ["", "a.b", "a b", "a\nb", "ä", "x" * 201])
def test_key_that_no_header_carries_is_refused(channel: Channel, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        plan_delivery(channel=channel, message=MESSAGE, key=key)


def test_channel_switched_off_gets_a_cancelled_row_that_says_so(channel: Channel, hints: list[str]) -> None:
    channel.is_enabled = False
    channel.save()

    delivery = plan_delivery(channel=channel, message=MESSAGE, key="alert:1")

    assert (delivery.state, delivery.last_error) == (DeliveryState.CANCELLED, "The channel is switched off.")
    assert hints == []


def test_cancel_open_leaves_what_is_done(channel: Channel) -> None:
    waiting = plan_delivery(channel=channel, message=MESSAGE, key="alert:1")
    done = plan_delivery(channel=channel, message=MESSAGE, key="alert:2")
    Delivery.objects.filter(id=done.id).update(state=DeliveryState.SENT)

    assert cancel_open([channel.id], reason="because") == 1

    waiting.refresh_from_db()
    done.refresh_from_db()
    assert (waiting.state, waiting.last_error) == (DeliveryState.CANCELLED, "because")
    assert (done.state, done.last_error) == (DeliveryState.SENT, "")


def test_resend_gives_a_failed_delivery_fresh_tries_with_its_key(channel: Channel) -> None:
    delivery = plan_delivery(channel=channel, message=MESSAGE, key="alert:1")
    Delivery.objects.update(state=DeliveryState.FAILED, failures=9, attempts=12, last_error="no")
    delivery.refresh_from_db()

    resend(delivery=delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.failures, delivery.attempts, delivery.last_error) == ("pending", 0, 12, "")
    assert delivery.key == "alert:1"


def test_resend_refuses_what_is_sent_or_has_no_open_channel(channel: Channel) -> None:
    delivery = plan_delivery(channel=channel, message=MESSAGE, key="alert:1")

    with pytest.raises(ResendRefused, match="on its way already"):
        resend(delivery=delivery)
    delivery.channel.is_enabled = False
    with pytest.raises(ResendRefused, match="switched off"):
        resend(delivery=delivery)
    delivery.channel = None
    with pytest.raises(ResendRefused, match="deleted"):
        resend(delivery=delivery)
