"""Who reacts to what: the only place where apps are wired together."""

from apps.events.base import Event
from apps.tenants.events import MemberRemoved, TenantCreated

EVENT_TABLE: dict[type[Event], tuple[str, ...]] = {
    TenantCreated: (),
    MemberRemoved: (),
}
