"""How status pages react to events."""

from collections.abc import Sequence

from apps.checks.events import CheckFlipped
from apps.events.base import handler_of_many
from apps.incidents.events import OutageEvent
from apps.statuspages.domain.live import touch_pages
from apps.statuspages.domain.pages import create_first_page
from apps.statuspages.domain.queries import pages_showing
from apps.tenants.events import TenantCreated
from apps.tenants.models import Tenant


@handler_of_many(at_most=200)
def on_check_news(events: Sequence[CheckFlipped | OutageEvent]) -> None:
    """Have the pages that show the checks drawn anew."""
    touch_pages(pages_showing({event.check_id for event in events}))


def on_tenant_created(event: TenantCreated) -> None:
    """Give the tenant its first page."""
    if tenant := Tenant.objects.filter(id=event.tenant_id).first():
        create_first_page(tenant)
