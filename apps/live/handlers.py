"""What live does about events."""

from apps.live.domain.publish import publish
from apps.live.domain.wire import ACCESS
from apps.tenants.events import MemberRemoved


def on_member_removed(event: MemberRemoved) -> None:
    """Have every open socket of the tenant checked now, so that a removed member hears nothing more."""
    publish(f"tenant:{event.tenant_id}", [ACCESS])
