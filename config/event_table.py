"""Who reacts to what: the only place where apps are wired together."""

from apps.checks.events import CheckDegraded, CheckLostSight, CheckPaused, CheckWentDown, CheckWentUp
from apps.events.base import Event
from apps.incidents.events import OutageChanged, OutageOpened, OutageResolved
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.tenants.events import MemberInvited, MemberRemoved, TenantCreated

OUTAGES = "apps.incidents.handlers.on_check_flipped"

EVENT_TABLE: dict[type[Event], tuple[str, ...]] = {
    TenantCreated: ("apps.notifications.handlers.on_tenant_created",),
    MemberInvited: ("apps.tenants.handlers.send_invitation_letter",),
    MemberRemoved: (),
    DeliverySent: (),
    DeliveryFailed: (),
    CheckWentUp: (OUTAGES,),
    CheckDegraded: (OUTAGES,),
    CheckWentDown: (OUTAGES,),
    CheckLostSight: (OUTAGES,),
    CheckPaused: (OUTAGES,),
    OutageOpened: (),
    OutageChanged: (),
    OutageResolved: (),
}
