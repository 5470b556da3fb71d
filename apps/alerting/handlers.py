"""How alerts react to events."""

from collections.abc import Sequence

from apps.alerting.domain.deliveries import note_deliveries
from apps.alerting.domain.reminding import look_again_below
from apps.alerting.domain.rounds import consider_check, consider_outages
from apps.alerting.domain.rules import create_default_rule, review_open_outages
from apps.alerting.enums import Trigger
from apps.alerting.events import ReviewAsked, RulesChanged
from apps.checks.events import CheckCalmedDown, CheckStartedFlapping
from apps.events.base import handler_of_many
from apps.incidents.events import OutageChanged, OutageOpened, OutageResolved
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.tenants.events import TenantCreated


@handler_of_many(at_most=50)
def on_outage_opened(events: Sequence[OutageOpened]) -> None:
    consider_outages({event.outage_id for event in events}, Trigger.OPENED)


@handler_of_many(at_most=50)
def on_outage_changed(events: Sequence[OutageChanged]) -> None:
    consider_outages({event.outage_id for event in events}, Trigger.CHANGED)


@handler_of_many(at_most=50)
def on_outage_resolved(events: Sequence[OutageResolved]) -> None:
    consider_outages({event.outage_id for event in events}, Trigger.RESOLVED)
    look_again_below({event.check_id for event in events})


def on_flapping_changed(event: CheckStartedFlapping | CheckCalmedDown) -> None:
    """Tell that the check flaps, or what was held back meanwhile and is still true."""
    consider_check(event.check_id, Trigger.CALM)


@handler_of_many(at_most=50)
def on_review_asked(events: Sequence[ReviewAsked]) -> None:
    consider_outages({event.outage_id for event in events}, Trigger.RULES)


def on_rules_changed(event: RulesChanged) -> None:
    """Have what is open looked at under the new rules."""
    review_open_outages()


def on_tenant_created(event: TenantCreated) -> None:
    create_default_rule()


@handler_of_many(at_most=50)
def on_delivery_finished(events: Sequence[DeliverySent | DeliveryFailed]) -> None:
    """Put the deliveries' ends on the outages' timelines, and let open pages see them."""
    note_deliveries({event.delivery_id for event in events})
