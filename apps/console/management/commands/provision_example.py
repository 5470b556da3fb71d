"""The example that a newcomer can break."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.checks.domain.allowance import allowed_interval
from apps.checks.domain.checks import Timing, create_check, update_check
from apps.checks.models import Check
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.statuspages.domain.components import add_component
from apps.statuspages.models import StatusPage
from apps.tenants.models import Tenant

TAG = "example"
INTERVAL_SECONDS = 10


class Command(BaseCommand):
    """Have the first tenant watch the example service; a second time only its address is brought up to date."""

    help = "Watch the example service in the first tenant"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.order_by("created_at").first()
        if tenant is None:
            return
        deliver_pending()  # the tenant's first status page comes by an event
        config = parse_config(CHECK_TYPES.get("http").Config, {"url": options["url"]})
        with tenant_scope(tenant.id):
            timing = Timing(interval_seconds=allowed_interval(INTERVAL_SECONDS), retries=0, timeout_seconds=5)
            existing = Check.objects.filter(tags__contains=[TAG]).first()
            if existing is None:
                check = create_check(name="Example service", kind="http", config=config, timing=timing, tags=[TAG])
                if page := StatusPage.objects.order_by("created_at").first():
                    add_component(page, check)
            elif existing.target != options["url"]:
                update_check(existing, name=existing.name, config=config, timing=timing, tags=existing.tags)
