"""Deliveries claimed for a while: by whom, how many at once, and what a worker that lost its claim may still say."""

from datetime import timedelta

import pytest

from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.notifications.channels.base import DeliveryError
from apps.notifications.domain import claiming
from apps.notifications.domain.channels import delete_channel
from apps.notifications.domain.claiming import CHANNEL_SHARE, Claim, claim_next
from apps.notifications.domain.sending import deliver, deliver_due
from apps.notifications.domain.trying import Try, note_try
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery, DeliveryAttempt
from apps.tenants.models import Tenant
from tests.notifications.conftest import keys_of, make_channel, plan, waits_for
from tests.peers.receiver import Receiver

# now() stands still inside a transaction, so claims need real ones.
pytestmark = pytest.mark.django_db(transaction=True)


def claimed() -> Claim:
    claim = claim_next()
    assert claim is not None
    return claim


def failing() -> Try:
    return Try(clock.now(), timedelta(seconds=1), DeliveryError("no", code="http-500"))


def test_channel_deleted_during_a_failing_try_leaves_nothing_waiting(channel: Channel) -> None:
    (delivery,) = plan(channel, "alert:1")
    claim = claimed()
    delete_channel(channel=channel)

    note_try(claim, failing())

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED


def test_lease_keeps_rivals_away_until_the_holder_must_be_dead(channel: Channel) -> None:
    (delivery,) = plan(channel, "alert:1")

    claim = claimed()

    assert claim == Claim(delivery.id, channel.tenant_id, 1)
    assert claim_next() is None
    assert 11 < waits_for(delivery) <= 12
    assert delivery.state == DeliveryState.SENDING


def test_worker_killed_between_sending_and_noting_means_one_repeat_with_the_same_key(
    channel: Channel, receiver: Receiver
) -> None:
    (delivery,) = plan(channel, "alert:1")
    claimed()  # and never heard of again
    Delivery.objects.update(claimable_at=clock.now() - timedelta(seconds=1))  # twelve seconds later

    assert deliver_due() == 1

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 2)
    assert keys_of(receiver) == ["alert:1"]


def test_late_no_of_a_worker_that_lost_its_lease_changes_nothing(channel: Channel) -> None:
    (delivery,) = plan(channel, "alert:1")
    late = claimed()
    Delivery.objects.update(claimable_at=clock.now() - timedelta(seconds=1))
    claimed()

    note_try(late, failing())

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.failures) == (DeliveryState.SENDING, 2, 0)
    assert DeliveryAttempt.objects.get().number == 1  # it happened, so the log has it


def test_late_yes_counts_and_the_rivals_no_cannot_undo_it(channel: Channel, receiver: Receiver) -> None:
    (delivery,) = plan(channel, "alert:1")
    late = claimed()
    Delivery.objects.update(claimable_at=clock.now() - timedelta(seconds=1))
    rival = claimed()

    deliver(late)
    note_try(rival, failing())

    delivery.refresh_from_db()
    assert (delivery.state, delivery.failures, delivery.last_error) == (DeliveryState.SENT, 0, "")
    assert deliver_due() == 0


def test_claims_of_one_channel_stop_at_its_share(channel: Channel) -> None:
    plan(channel, *(f"alert:{number}" for number in range(CHANNEL_SHARE + 2)))

    claims = [claim_next() for _turn in range(CHANNEL_SHARE + 2)]

    assert [claim is None for claim in claims] == [False] * CHANNEL_SHARE + [True, True]


def test_tenant_with_the_fewest_under_way_comes_first(channel: Channel, globex: Tenant, receiver: Receiver) -> None:
    plan(channel, "alert:1", "alert:2", "alert:3")
    with tenant_scope(globex.id):
        theirs = make_channel("Theirs", receiver)
        plan(theirs, "theirs:1")

    turns = [claimed().tenant_id for _turn in range(4)]

    assert turns == [channel.tenant_id, globex.id, channel.tenant_id, channel.tenant_id]


# --- Clocks that are set back ---------------------------------------------------------------------------------------------


def put_off(delivery: Delivery, seconds: int, state: str, *, tried_ahead: int | None = None) -> None:
    """Leave a delivery as a try did that took place so many seconds from now."""
    at = clock.now() + timedelta(seconds=seconds)
    failures = 0 if tried_ahead is None else 1
    Delivery.objects.filter(id=delivery.id).update(state=state, claimable_at=at, attempts=failures, failures=failures)
    if tried_ahead is not None:
        tried_at = clock.now() + timedelta(seconds=tried_ahead)
        DeliveryAttempt.objects.create(delivery=delivery, number=1, at=tried_at, duration_ms=1, is_ok=False)


@pytest.mark.parametrize(
    ("seconds", "state", "tried_ahead", "is_due"),
    [
        (3_600, "pending", None, True),
        (3_600, "sending", None, True),
        (100, "sending", None, False),  # a lease
        (3_602, "pending", 3_600, True),
        (3_602, "pending", -1, False),  # the receiver asked for that much patience
        (7_200, "failed", 7_000, False),
    ],
)
def test_delivery_put_off_by_a_clock_that_was_set_back_is_due(
    channel: Channel, seconds: int, state: str, tried_ahead: int | None, is_due: bool
) -> None:
    (delivery,) = plan(channel, "one")
    put_off(delivery, seconds, state, tried_ahead=tried_ahead)

    claiming.straighten()
    claiming.straighten()

    assert (Delivery.objects.get().claimable_at <= clock.now()) == is_due


def test_channel_whose_leases_lie_ahead_sends_again(channel: Channel, receiver: Receiver) -> None:
    for delivery in plan(channel, *map(str, range(CHANNEL_SHARE))):
        put_off(delivery, 3_600, "sending")
    plan(channel, "new")
    assert claim_next() is None

    claiming.straighten()
    deliver_due()

    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
