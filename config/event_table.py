"""Who reacts to what: the only place where apps are wired together."""

from apps.alerting.events import ReviewAsked, RulesChanged
from apps.checks.events import (
    CheckCalmedDown,
    CheckDegraded,
    CheckInMaintenance,
    CheckLostSight,
    CheckPaused,
    CheckStartedFlapping,
    CheckWentDown,
    CheckWentUp,
)
from apps.events.base import Event
from apps.incidents.events import OutageChanged, OutageOpened, OutageResolved
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.tenants.events import MemberInvited, MemberRemoved, TenantCreated

OUTAGES = "apps.incidents.handlers.on_check_flipped"
GROUPS = "apps.checks.handlers.on_check_flipped"
FLAPPING = "apps.alerting.handlers.on_flapping_changed"
OUTAGE_PAGES = "apps.incidents.handlers.show_outage"
DELIVERIES = "apps.alerting.handlers.on_delivery_finished"
PAGES = "apps.statuspages.handlers.on_check_news"

EVENT_TABLE: dict[type[Event], tuple[str, ...]] = {
    TenantCreated: (
        "apps.notifications.handlers.on_tenant_created",
        "apps.alerting.handlers.on_tenant_created",
        "apps.statuspages.handlers.on_tenant_created",
    ),
    MemberInvited: ("apps.tenants.handlers.send_invitation_letter",),
    MemberRemoved: ("apps.live.handlers.on_member_removed",),
    DeliverySent: (DELIVERIES,),
    DeliveryFailed: (DELIVERIES,),
    CheckWentUp: (OUTAGES, GROUPS, PAGES),
    CheckDegraded: (OUTAGES, GROUPS, PAGES),
    CheckWentDown: (OUTAGES, GROUPS, PAGES),
    CheckLostSight: (OUTAGES, GROUPS, PAGES),
    CheckPaused: (OUTAGES, GROUPS, PAGES),
    CheckStartedFlapping: (FLAPPING,),
    CheckCalmedDown: (FLAPPING,),
    CheckInMaintenance: (OUTAGES, GROUPS, PAGES),
    OutageOpened: ("apps.alerting.handlers.on_outage_opened", OUTAGE_PAGES, PAGES),
    OutageChanged: ("apps.alerting.handlers.on_outage_changed", OUTAGE_PAGES, PAGES),
    OutageResolved: ("apps.alerting.handlers.on_outage_resolved", OUTAGE_PAGES, PAGES),
    RulesChanged: ("apps.alerting.handlers.on_rules_changed",),
    ReviewAsked: ("apps.alerting.handlers.on_review_asked",),
}
