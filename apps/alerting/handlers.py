"""How alerts react to events."""

from apps.alerting.domain.deliveries import note_delivery
from apps.alerting.domain.reminding import look_again_at
from apps.alerting.domain.rounds import consider_check, consider_outage
from apps.alerting.domain.rules import create_default_rule, review_open_outages
from apps.alerting.enums import Trigger
from apps.alerting.events import ReviewAsked, RulesChanged
from apps.checks.domain.dependencies import descendants_of
from apps.checks.events import CheckCalmedDown, CheckStartedFlapping
from apps.incidents.events import OutageChanged, OutageOpened, OutageResolved
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.tenants.events import TenantCreated


def on_outage_opened(event: OutageOpened) -> None:
    consider_outage(event.outage_id, Trigger.OPENED)


def on_outage_changed(event: OutageChanged) -> None:
    consider_outage(event.outage_id, Trigger.CHANGED)


def on_outage_resolved(event: OutageResolved) -> None:
    consider_outage(event.outage_id, Trigger.RESOLVED)
    look_again_at(descendants_of(event.check_id))


def on_flapping_changed(event: CheckStartedFlapping | CheckCalmedDown) -> None:
    """Tell that the check flaps, or what was held back meanwhile and is still true."""
    consider_check(event.check_id, Trigger.CALM)


def on_review_asked(event: ReviewAsked) -> None:
    consider_outage(event.outage_id, Trigger.RULES)


def on_rules_changed(event: RulesChanged) -> None:
    """Have what is open looked at under the new rules."""
    review_open_outages()


def on_tenant_created(event: TenantCreated) -> None:
    create_default_rule()


def on_delivery_finished(event: DeliverySent | DeliveryFailed) -> None:
    """Put the delivery's end on the outage's timeline, and let open pages see it."""
    note_delivery(event.delivery_id)
