"""Who reacts to what: the only place where apps are wired together."""

from apps.checks.events import CheckDegraded, CheckLostSight, CheckPaused, CheckWentDown, CheckWentUp
from apps.events.base import Event
from apps.incidents.events import OutageChanged, OutageOpened, OutageResolved
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.tenants.events import MemberInvited, MemberRemoved, TenantCreated

OUTAGES = "apps.incidents.handlers.on_check_flipped"
PAGES = "apps.statuspages.handlers.on_check_news"

EVENT_TABLE: dict[type[Event], tuple[str, ...]] = {
    TenantCreated: (
        "apps.notifications.handlers.on_tenant_created",
        "apps.statuspages.handlers.on_tenant_created",
    ),
    MemberInvited: ("apps.tenants.handlers.send_invitation_letter",),
    MemberRemoved: (),
    DeliverySent: (),
    DeliveryFailed: (),
    CheckWentUp: (OUTAGES, PAGES),
    CheckDegraded: (OUTAGES, PAGES),
    CheckWentDown: (OUTAGES, PAGES),
    CheckLostSight: (OUTAGES, PAGES),
    CheckPaused: (OUTAGES, PAGES),
    OutageOpened: (PAGES,),
    OutageChanged: (PAGES,),
    OutageResolved: (PAGES,),
}
