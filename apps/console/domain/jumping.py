"""Where the command palette leads: pages and actions by their words, then what has a name."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.console.domain.search import search


@dataclass(frozen=True, slots=True)
class Place:
    """A page or an action, and the right it takes."""

    label: Promise
    url_name: str
    icon: str
    right: str


PAGES: Sequence[Place] = (
    Place(_("Overview"), "console:home", "layout-dashboard", "checks.view"),
    Place(_("Checks"), "checks:list", "heartbeat", "checks.view"),
    Place(_("Agents"), "checks:agents", "plug-connected", "checks.view"),
    Place(_("Outages"), "incidents:list", "flame", "incidents.view"),
    Place(_("Maintenance"), "incidents:windows", "tool", "incidents.view"),
    Place(_("Alerts"), "alerting:list", "bell", "alerting.view"),
    Place(_("Status pages"), "statuspages:list", "broadcast", "statuspages.view"),
    Place(_("Channels"), "notifications:channels", "send", "notifications.view"),
    Place(_("Members"), "tenants:members", "users", "tenants.view"),
    Place(_("API keys"), "tenants:api_keys", "key", "tenants.manage_api_keys"),
    Place(_("Settings"), "tenants:settings", "settings", "tenants.view"),
    Place(_("Plan and usage"), "tenants:plan", "stack-2", "tenants.view"),
)
ACTIONS: Sequence[Place] = (
    Place(_("New check"), "checks:create", "plus", "checks.edit"),
    Place(_("New channel"), "notifications:channel_create", "plus", "notifications.manage"),
    Place(_("New rule"), "alerting:rule_create", "plus", "alerting.manage"),
    Place(_("New status page"), "statuspages:create", "plus", "statuspages.edit"),
)


@dataclass(frozen=True, slots=True)
class Jump:
    """One line of the palette."""

    label: str
    detail: str
    href: str
    icon: str


@dataclass(frozen=True, slots=True)
class JumpGroup:
    """Lines under one heading."""

    label: Promise
    jumps: Sequence[Jump]


def jumps(text: str, *, tenant_slug: str, rights: frozenset[str]) -> list[JumpGroup]:
    """Return where the person may go: what has the words in its name, or all pages and actions while nothing is typed."""
    words = text.casefold().split()
    hits = search(text, tenant_slug=tenant_slug, rights=rights)
    named = [Jump(hit.name, f"{hit.kind} · {hit.detail}", hit.href, "arrow-right") for hit in hits]
    groups = (
        JumpGroup(_("Found"), named),
        JumpGroup(_("Actions"), _places(ACTIONS, words, tenant_slug, rights)),
        JumpGroup(_("Pages"), _places(PAGES, words, tenant_slug, rights)),
    )
    return [group for group in groups if group.jumps]


def _places(places: Sequence[Place], words: list[str], slug: str, rights: frozenset[str]) -> list[Jump]:
    return [
        Jump(str(place.label), "", reverse(place.url_name, args=[slug]), place.icon)
        for place in places
        if place.right in rights and all(word in str(place.label).casefold() for word in words)
    ]
