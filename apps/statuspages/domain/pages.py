"""Making, changing and deleting status pages."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.refusals import Refusal
from apps.statuspages.domain.live import check_listeners, touch_pages
from apps.statuspages.domain.lookup import taken_slugs
from apps.statuspages.models import StatusPage
from apps.tenants.models import Tenant

EDITABLE = frozenset({"title", "slug", "description", "is_published", "theme", "shows_uptime", "support_url"})


class AddressTaken(Refusal):
    """Another page, perhaps another tenant's, has that address."""

    message = _("This address is taken; choose another.")
    field = "slug"


def free_slug(wish: str) -> str:
    """Return the address itself, or with the first number that makes it free."""
    taken = taken_slugs(wish)
    numbered = (f"{wish}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (wish, *numbered) if slug not in taken)


@transaction.atomic
def create_page(*, title: str, slug: str, **settings: Any) -> StatusPage:
    """Make a page without components; raise `AddressTaken`."""
    return _saved(StatusPage(title=title, slug=slug, **_known(settings)), force_insert=True)


@transaction.atomic
def create_first_page(tenant: Tenant) -> StatusPage:
    """Give a new tenant its page, once: under the tenant's own address where that is free."""
    first: StatusPage | None = StatusPage.objects.order_by("id").first()
    return first or create_page(title=tenant.name, slug=free_slug(tenant.slug))


@transaction.atomic
def update_page(page: StatusPage, **settings: Any) -> StatusPage:
    """Change a page's settings, those given by name; raise `AddressTaken`."""
    for name, value in _known(settings).items():
        setattr(page, name, value)
    page.updated_at = clock.now()
    _saved(page, update_fields=[*settings, "updated_at"])
    touch_pages([page.id])
    check_listeners(page.id)
    return page


@transaction.atomic
def delete_page(page: StatusPage) -> None:
    """Take a page and its components away."""
    page_id = page.id
    page.delete()
    check_listeners(page_id)


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    unknown = settings.keys() - EDITABLE
    if unknown:
        raise TypeError(f"a status page has no setting {sorted(unknown)}")
    return settings


def _saved(page: StatusPage, **options: Any) -> StatusPage:
    try:
        with transaction.atomic():
            page.save(**options)
    except IntegrityError as error:  # rival: whoever took the address just now, in any tenant
        raise AddressTaken from error
    return page
