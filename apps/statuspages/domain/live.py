"""Telling open pages that something changed, and asking for a fresh rendering."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F

from apps.live.domain.publish import publish_many
from apps.live.domain.visitors import Visitor
from apps.live.domain.wire import ACCESS
from apps.statuspages.domain.lookup import find_page
from apps.statuspages.models import StatusPage


def topic_of(page_id: UUID) -> str:
    return f"page:{page_id}"


def page_topic(visitor: Visitor, slug: str) -> str | None:
    """Return the topic of a published page; it is the same for every visitor."""
    page = find_page(slug)
    return topic_of(page.id) if page and page.is_published else None


def touch_pages(page_ids: Iterable[UUID]) -> None:
    """Say that what these pages show has changed: kept renderings grow stale, open browsers fetch anew.

    Rival: other changes to the same pages at the same moment; locking in the order of ids keeps us from deadlock.
    """
    wanted = list(page_ids)
    if not wanted:
        return
    pages = StatusPage.objects.filter(id__in=wanted)
    locked = list(pages.select_for_update(no_key=True).order_by("id").values_list("id", flat=True))
    if locked:
        StatusPage.objects.filter(id__in=locked).update(version=F("version") + 1)
        publish_many({topic_of(page_id): [f"page:{page_id}"] for page_id in locked})


def check_listeners(page_id: UUID) -> None:
    """Have the page's open sockets checked again: its address or who may see it has changed."""
    publish_many({topic_of(page_id): [ACCESS]})
