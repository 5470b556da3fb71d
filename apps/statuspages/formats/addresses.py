"""The absolute addresses of a page."""

from django.conf import settings
from django.urls import reverse

from apps.statuspages.models import StatusPage


def public_url(page: StatusPage, name: str = "public") -> str:
    """Return the full address of one of the page's public views."""
    return f"{settings.PUBLIC_URL}{reverse(f'statuspages:{name}', args=[page.slug])}"


def outage_url(page: StatusPage, outage_id: object) -> str:
    """Return where the outage stands in the page's history."""
    return f"{public_url(page, 'history')}#outage-{outage_id}"
