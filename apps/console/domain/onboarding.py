"""The first minute: one address becomes a check and a line on the status page."""

from urllib.parse import urlsplit

from django.db import transaction

from apps.checks.domain.allowance import allowed_interval
from apps.checks.domain.checks import Timing, create_check
from apps.checks.models import Check
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import parse_config
from apps.statuspages.domain.components import add_component
from apps.statuspages.models import StatusPage

FIRST_INTERVAL_SECONDS = 30


def completed(address: str) -> str:
    """Return the address with a scheme, as people leave it out."""
    address = address.strip()
    return address if "://" in address else f"https://{address}"


@transaction.atomic
def watch_first_address(address: str) -> Check:
    """Watch an address every 30 seconds, or as often as the plan allows, and show it on the tenant's first status page.

    Raises `ConfigErrors` (field ``url``) for an address that cannot be watched, `BeyondLimit` where the plan is used up.
    """
    config = parse_config(CHECK_TYPES.get("http").Config, {"url": completed(address)})
    name = urlsplit(completed(address)).hostname or address
    timing = Timing(interval_seconds=allowed_interval(FIRST_INTERVAL_SECONDS), retries=1, retry_interval_seconds=5)
    check = create_check(name=name, kind="http", config=config, timing=timing)
    if page := StatusPage.objects.order_by("created_at").first():
        add_component(page, check)
    return check
