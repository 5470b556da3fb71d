"""Working off what is due.

Delivery is at least once. A worker that dies between the receiver's yes and our note of it leaves a lease; when that
ends, another worker sends once more with the same key (``Idempotency-Key``, ``webhook-id``, ``Message-ID``), by which the
receiver can tell the repeat.
"""

import time
from datetime import timedelta

from apps.core.tenancy import tenant_scope
from apps.events.hints import hint
from apps.notifications.channels.base import Message
from apps.notifications.domain.claiming import Claim, claim_next, has_due
from apps.notifications.domain.planning import DELIVER_TASK, QUEUE
from apps.notifications.domain.trying import note_try, try_channel
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Delivery

# After this long a run makes room for other tasks of its queue; the hint it leaves brings the next run.
RUN_TIME = timedelta(seconds=30)


def deliver_due() -> int:
    """Work off due deliveries one after another and return their number.

    The first claim asks for one more run beside this one if there is more, so that a slow receiver holds up one thread
    and not the queue.
    """
    done, ends_at = 0, time.monotonic() + RUN_TIME.total_seconds()
    while claim := claim_next():
        if done == 0 and has_due():
            hint(DELIVER_TASK, queue=QUEUE)
        with tenant_scope(claim.tenant_id):
            deliver(claim)
        done += 1
        if time.monotonic() > ends_at:
            hint(DELIVER_TASK, queue=QUEUE)
            break
    return done


def deliver(claim: Claim) -> None:
    """Send a leased delivery and note how it went."""
    delivery = Delivery.objects.select_related("channel__tenant").filter(id=claim.id).first()
    if delivery is None or delivery.channel is None or not delivery.channel.is_enabled:
        _cancel(claim, reason=delivery.channel.disabled_reason if delivery and delivery.channel else "")
        return
    tried = try_channel(delivery.channel, Message.from_json(delivery.message), key=delivery.key)
    note_try(claim, tried)


def _cancel(claim: Claim, *, reason: str) -> None:
    """End a delivery whose channel was switched off or deleted after it was claimed."""
    mine = Delivery.objects.filter(id=claim.id, attempts=claim.attempt, state=DeliveryState.SENDING)
    mine.update(state=DeliveryState.CANCELLED, last_error=reason)
