"""Writing down what must be sent. Sending it is `sending`'s business."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.core import clock
from apps.core.postgres.inserting import insert_rows
from apps.core.refusals import Refusal
from apps.events.hints import hint
from apps.notifications.channels.base import Message
from apps.notifications.enums import REPEATABLE_STATES, DeliveryState
from apps.notifications.models import Channel, Delivery

DELIVER_TASK = "notifications.deliver"
QUEUE = "deliveries"
# Keys travel in HTTP headers and e-mail message ids; Standard Webhooks forbids the dot.
KEY = re.compile(r"[A-Za-z0-9:_-]{1,200}")


class ResendRefused(Refusal):
    """The delivery cannot be sent again; the text says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a delivery is about: a word of the higher app, such as ``alert``, and the row's id."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Plan:
    """One delivery to be written down."""

    channel: Channel
    message: Message
    key: str
    subject: Subject | None = None


def plan_delivery(*, channel: Channel, message: Message, key: str, subject: Subject | None = None) -> Delivery:
    """Write down one delivery in the caller's transaction; a known ``key`` returns the delivery it already has."""
    return plan_deliveries([Plan(channel, message, key, subject)])[0]


def plan_deliveries(plans: Iterable[Plan]) -> list[Delivery]:
    """`plan_delivery` for many, with two queries in all; the answer is in the order of ``plans``.

    A channel that is switched off gets a cancelled row, so that the log can say why nothing came.
    """
    wanted = list(plans)
    write_deliveries(wanted)
    rows = {row.key: row for row in Delivery.objects.filter(key__in=[plan.key for plan in wanted])}
    return [rows[plan.key] for plan in wanted]


def write_deliveries(plans: Sequence[Plan]) -> None:
    """`plan_deliveries` for those who do not look at the rows, with one query: a storm's messages are thousands."""
    insert_rows(Delivery, list(map(_row, plans)), ignore_conflicts=True)  # rival: the same plan, written twice
    if any(plan.channel.is_enabled for plan in plans):
        transaction.on_commit(_kick, robust=True)


def _row(plan: Plan) -> dict[str, Any]:
    if not KEY.fullmatch(plan.key):
        raise ValueError(f"{plan.key!r} is no key: 1 to 200 letters, digits, colons, hyphens and underscores")
    return {
        "channel_id": plan.channel.id,
        "channel_name": plan.channel.name,
        "channel_kind": plan.channel.kind,
        "key": plan.key,
        "message": plan.message.to_json(),
        "subject_kind": plan.subject.kind if plan.subject else "",
        "subject_id": plan.subject.id if plan.subject else None,
        "state": DeliveryState.PENDING if plan.channel.is_enabled else DeliveryState.CANCELLED,
        "last_error": "" if plan.channel.is_enabled else gettext_noop("The channel is switched off."),
    }


def _kick() -> None:
    hint(DELIVER_TASK, queue=QUEUE)


@transaction.atomic
def resend(*, delivery: Delivery) -> None:
    """Give a delivery that failed or was cancelled a fresh row of tries, with the same key."""
    if delivery.channel is None:
        raise ResendRefused(_("The channel was deleted."))
    if not delivery.channel.is_enabled:
        raise ResendRefused(_("The channel is switched off. Switch it on first."))
    # Rival: the same button pressed twice.
    fresh = Delivery.objects.filter(id=delivery.id, state__in=REPEATABLE_STATES).update(
        state=DeliveryState.PENDING, failures=0, claimable_at=clock.now(), last_error=""
    )
    if not fresh:
        raise ResendRefused(_("This delivery is on its way already."))
    transaction.on_commit(_kick, robust=True)


def cancel_open(channel_ids: Sequence[UUID], *, reason: str) -> int:
    """Cancel what still waits for these channels. A try under way is noted as it ends."""
    waiting = Delivery.objects.filter(channel_id__in=channel_ids, state=DeliveryState.PENDING)
    return int(waiting.update(state=DeliveryState.CANCELLED, last_error=reason))
