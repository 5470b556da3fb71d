"""One search field for everything that has a name."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check
from apps.notifications.models import Channel
from apps.statuspages.models import StatusPage

PER_KIND = 8


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found: what it is, its name and its page."""

    kind: str | Promise
    name: str
    detail: str
    href: str


def search(text: str, *, tenant_slug: str, rights: frozenset[str]) -> list[Hit]:
    """Return what the open tenant has of that name, of the kinds the person may see."""
    text = text.strip()
    if not text:
        return []
    finders = {"checks.view": _checks, "statuspages.view": _pages, "notifications.view": _channels}
    return [hit for right, find in finders.items() if right in rights for hit in find(text, tenant_slug)]


def _checks(text: str, slug: str) -> list[Hit]:
    found = Check.objects.filter(name__icontains=text).order_by("name")[:PER_KIND]
    return [
        Hit(_("Check"), check.name, check.target, reverse("checks:detail", args=[slug, check.id])) for check in found
    ]


def _pages(text: str, slug: str) -> list[Hit]:
    found = StatusPage.objects.filter(title__icontains=text).order_by("title")[:PER_KIND]
    return [
        Hit(_("Status page"), page.title, page.slug, reverse("statuspages:edit", args=[slug, page.id]))
        for page in found
    ]


def _channels(text: str, slug: str) -> list[Hit]:
    found = Channel.objects.filter(name__icontains=text).order_by("name")[:PER_KIND]
    return [
        Hit(_("Channel"), channel.name, channel.kind, reverse("notifications:channel_detail", args=[slug, channel.id]))
        for channel in found
    ]
