"""From the address of a public page to the page: the one question of this app that crosses tenants.

Addresses are public and unique among all tenants; whoever asks opens the page's own tenant for everything else.
"""

from apps.core.tenancy import system_scope
from apps.statuspages.models import StatusPage


def find_page(slug: str) -> StatusPage | None:
    """Return the page with that address, published or not, with its tenant."""
    with system_scope("a public address does not say whose page it is"):
        page: StatusPage | None = StatusPage.unscoped.select_related("tenant").filter(slug=slug).first()
        return page


def taken_slugs(stem: str) -> frozenset[str]:
    """Return the addresses, of all tenants, that begin like this."""
    with system_scope("addresses are unique among all tenants"):
        return frozenset(StatusPage.unscoped.filter(slug__startswith=stem).values_list("slug", flat=True))
