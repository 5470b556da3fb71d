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
    hits: list[Hit] = []
    if "checks.view" in rights:
        for check in Check.objects.filter(name__icontains=text).order_by("name")[:PER_KIND]:
            hits.append(Hit(_("Check"), check.name, check.target, reverse("checks:detail", args=[tenant_slug, check.id])))
    if "statuspages.view" in rights:
        for page in StatusPage.objects.filter(title__icontains=text).order_by("title")[:PER_KIND]:
            hits.append(Hit(_("Status page"), page.title, page.slug, reverse("statuspages:edit", args=[tenant_slug, page.id])))
    if "notifications.view" in rights:
        for channel in Channel.objects.filter(name__icontains=text).order_by("name")[:PER_KIND]:
            href = reverse("notifications:channel_detail", args=[tenant_slug, channel.id])
            hits.append(Hit(_("Channel"), channel.name, channel.kind, href))
    return hits
