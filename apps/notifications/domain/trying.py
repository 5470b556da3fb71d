"""One try: hand the message over, outside any transaction, then note how it went and what follows."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.core import clock
from apps.core.tenancy import current_tenant_id
from apps.events.domain.outbox import emit
from apps.notifications.channels.base import DETAIL_LENGTH, DeliveryError, Message, Policy, Receipt
from apps.notifications.domain.channels import config_of, switch_off, type_of
from apps.notifications.domain.claiming import Claim
from apps.notifications.enums import DeliveryState
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.notifications.models import Channel, Delivery, DeliveryAttempt

logger = logging.getLogger(__name__)

# The waits between tries: ten tries within a day (23 h 36 min).
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (2, 10, 60, 300, 1800, 7200, 18_000, 36_000, 21_600))

# A channel's last success is kept to this.
FRESH = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Try:
    """How one try went."""

    at: datetime
    duration: timedelta
    outcome: Receipt | DeliveryError


def try_channel(channel: Channel, message: Message, *, key: str) -> Try:
    """Make one try. What nobody foresaw counts as a failure that another try may mend."""
    at, began = clock.now(), time.monotonic()
    outcome: Receipt | DeliveryError
    try:
        policy = Policy(allow_private=channel.tenant.allows_private_targets)
        with timezone.override(channel.tenant.time_zone):
            outcome = type_of(channel).deliver(config_of(channel), message, key=key, policy=policy)
    except DeliveryError as error:
        outcome = error
    except Exception as error:
        logger.exception("channel %s (%s) failed in a way nobody foresaw", channel.id, channel.kind)
        outcome = DeliveryError(f"{type(error).__name__}: {error}", code="internal")
    return Try(at=at, duration=timedelta(seconds=time.monotonic() - began), outcome=outcome)


def next_wait(failures: int, error: DeliveryError) -> timedelta | None:
    """Return how long to wait after so many failures, the last of them ``error``; None gives up."""
    if error.permanent or failures > len(RETRY_DELAYS):
        return None
    return max(RETRY_DELAYS[failures - 1], error.retry_after or timedelta(0))


@transaction.atomic
def note_try(claim: Claim, tried: Try, *, may_retry: bool = True) -> None:
    """Keep the try in the log and move the delivery on, at once.

    Rival: a worker that took over after our lease ran out. A yes counts whoever heard it; a no only while the claim is
    still ours.
    """
    locked = Delivery.objects.select_for_update(of=("self",)).select_related("channel")
    delivery = locked.filter(id=claim.id).first()
    if delivery is None:
        return
    _write_attempt(delivery, claim.attempt, tried)
    is_ours = delivery.attempts == claim.attempt and delivery.state == DeliveryState.SENDING
    if isinstance(tried.outcome, Receipt):
        if delivery.state != DeliveryState.SENT:
            _settle_sent(delivery)
    elif is_ours:
        _settle_failure(delivery, tried.outcome, may_retry=may_retry)


def _write_attempt(delivery: Delivery, number: int, tried: Try) -> None:
    error = tried.outcome if isinstance(tried.outcome, DeliveryError) else None
    detail = tried.outcome.detail or (error.message if error else "")
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=number,
        at=tried.at,
        is_ok=error is None,
        code=error.code[:60] if error else "",
        status_code=tried.outcome.status_code,
        detail=detail[:DETAIL_LENGTH],
        duration_ms=round(tried.duration.total_seconds() * 1000),
    )


def _settle_sent(delivery: Delivery) -> None:
    now = clock.now()
    delivery.state, delivery.sent_at, delivery.last_error = DeliveryState.SENT, now, ""
    delivery.save(update_fields=["state", "sent_at", "last_error"])
    # In a storm once a second is enough: writers of one row wait for each other's commits, and claims pass it over meanwhile.
    stale = Q(last_ok_at=None) | Q(last_ok_at__lt=now - FRESH) | Q(last_ok_at__gt=now) | ~Q(last_error="")
    Channel.objects.filter(stale, id=delivery.channel_id).update(last_ok_at=now, last_error="")
    emit(DeliverySent(tenant_id=current_tenant_id(), delivery_id=delivery.id))


def _settle_failure(delivery: Delivery, error: DeliveryError, *, may_retry: bool) -> None:
    delivery.failures += 1
    wait = next_wait(delivery.failures, error) if may_retry and delivery.channel else None
    delivery.state = DeliveryState.FAILED if wait is None else DeliveryState.PENDING
    delivery.claimable_at = clock.now() + (wait or timedelta(0))
    delivery.last_error = error.message
    delivery.save(update_fields=["state", "failures", "claimable_at", "last_error"])
    Channel.objects.filter(id=delivery.channel_id).update(last_error=error.message)
    if error.is_gone and delivery.channel:
        switch_off(channel=delivery.channel, reason=error.message)
    if wait is None:
        emit(DeliveryFailed(tenant_id=current_tenant_id(), delivery_id=delivery.id))
