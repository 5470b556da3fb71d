"""“Send a test”: one try, now, with a clear answer."""

from datetime import timedelta

from django.conf import settings
from django.utils.translation import gettext_lazy

from apps.core import clock, rate
from apps.core.ids import uuid7
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id
from apps.notifications.channels.base import DeliveryError, Receipt, sample_message
from apps.notifications.domain.channels import type_of
from apps.notifications.domain.claiming import Claim
from apps.notifications.domain.trying import note_try, try_channel
from apps.notifications.enums import DeliveryState, SubjectKind
from apps.notifications.models import Channel, Delivery

# Anyone's mailbox can be entered as a channel: tests must not become a way to flood it.
TESTS = rate.Limit(per_minute=10, burst=10)


class TooManyTests(Refusal):
    """The tenant sends tests faster than people read them."""

    message = gettext_lazy("Too many tests in a short time. Wait a minute, then try again.")


def send_test(*, channel: Channel) -> Receipt:
    """Send the sample message once and return the receipt; raise `DeliveryError` (says how to mend it) or `TooManyTests`.

    The try is kept in the delivery log like any other.
    """
    if not rate.spend(f"channel-tests:{current_tenant_id()}", TESTS).is_allowed:
        raise TooManyTests
    message = sample_message(url=settings.PUBLIC_URL)
    delivery = Delivery.objects.create(
        channel=channel,
        channel_name=channel.name,
        channel_kind=channel.kind,
        key=f"test:{uuid7()}",
        message=message.to_json(),
        subject_kind=SubjectKind.TEST,
        subject_id=channel.id,
        state=DeliveryState.SENDING,
        attempts=1,
        claimable_at=clock.now() + type_of(channel).lease + timedelta(seconds=1),
    )
    tried = try_channel(channel, message, key=delivery.key)
    note_try(Claim(delivery.id, current_tenant_id(), 1), tried, may_retry=False)
    if isinstance(tried.outcome, DeliveryError):
        raise tried.outcome
    return tried.outcome
