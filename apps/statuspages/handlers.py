"""How status pages react to events."""

from apps.checks.events import CheckFlipped
from apps.incidents.events import OutageEvent
from apps.statuspages.domain.live import touch_pages
from apps.statuspages.domain.pages import create_first_page
from apps.statuspages.domain.queries import pages_showing
from apps.tenants.events import TenantCreated
from apps.tenants.models import Tenant


def on_check_news(event: CheckFlipped | OutageEvent) -> None:
    """Have the pages that show the check drawn anew."""
    touch_pages(pages_showing([event.check_id]))


def on_tenant_created(event: TenantCreated) -> None:
    """Give the tenant its first page."""
    if tenant := Tenant.objects.filter(id=event.tenant_id).first():
        create_first_page(tenant)
