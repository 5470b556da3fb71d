"""Reading what a page shows. Each read names its columns, so that nothing private is even loaded."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import BigIntegerField, CharField, Count, DateTimeField, F, Q, QuerySet, Value
from django.db.models.functions import Cast

from apps.checks.domain.hindsight import Learned
from apps.checks.domain.spans import span
from apps.checks.enums import State
from apps.checks.models import Check, Flip, Hindsight
from apps.incidents.models import Outage
from apps.statuspages.domain.facts import ComponentFact, FlipFact, OutageFact
from apps.statuspages.models import Component, StatusPage

OUTAGE_COLUMNS = (
    "id",
    "watched_id",
    "severity",
    "started_at",
    "ended_at",
    "opened_by__sequence",
    "last_flip__sequence",
)


def shown_components(page: StatusPage) -> list[ComponentFact]:
    """Return a page's components in their order."""
    rows = Component.objects.filter(page=page).order_by("position", "id")
    columns = ("id", "watched_id", "name", "description", "group", "created_at", "updated_at")
    joined = (F("watched__checkstate__state"), F("watched__created_at"))
    return [ComponentFact(*row) for row in rows.values_list(*columns, *joined)]


def outages_between(check_ids: Collection[UUID], since: datetime, until: datetime | None = None) -> list[OutageFact]:
    """Return the checks' outages that touch the time, newest first."""
    rows = Outage.objects.filter(Q(ended_at=None) | Q(ended_at__gt=since), watched_id__in=check_ids)
    if until:
        rows = rows.filter(started_at__lt=until)
    return [OutageFact(*row) for row in rows.order_by("-started_at", "-id").values_list(*OUTAGE_COLUMNS)]


def latest_outages(check_ids: Collection[UUID], limit: int) -> list[OutageFact]:
    """Return the checks' last outages, newest first."""
    rows = Outage.objects.filter(watched_id__in=check_ids).order_by("-started_at", "-id")
    return [OutageFact(*row) for row in rows.values_list(*OUTAGE_COLUMNS)[:limit]]


def flips_since(check_ids: Collection[UUID], since: datetime) -> dict[UUID, list[FlipFact]]:
    """Return each check's flips since then, in their order."""
    rows = Flip.objects.filter(watched_id__in=check_ids, at__gte=since).order_by("sequence")
    by_check: dict[UUID, list[FlipFact]] = {check_id: [] for check_id in check_ids}
    for row in rows.values_list("sequence", "watched_id", "at", "before", "after"):
        by_check[row[1]].append(FlipFact(*row))
    return by_check


def flips_and_hindsight_since(
    check_ids: Collection[UUID], since: datetime
) -> tuple[dict[UUID, list[FlipFact]], dict[UUID, list[Learned]]]:
    """Return `flips_since`, and what late results say of times that are unknown by flips, by the same question."""
    flips = Flip.objects.filter(watched_id__in=check_ids, at__gte=since)
    flips = flips.annotate(until=Cast(Value(None), DateTimeField()))
    late = Hindsight.objects.filter(watched_id__in=check_ids, until_at__gt=since)
    late = late.annotate(place=Value(0, BigIntegerField()), nothing=Value("", CharField()))
    rows = flips.values_list("sequence", "watched_id", "at", "before", "after", "until").union(
        late.values_list("place", "watched_id", "since_at", "nothing", "state", "until_at"), all=True
    )
    by_check: dict[UUID, list[FlipFact]] = {check_id: [] for check_id in check_ids}
    learned: dict[UUID, list[Learned]] = {check_id: [] for check_id in check_ids}
    for *row, until in rows.order_by("sequence"):
        if until:
            learned[row[1]].append(Learned(span(row[2], until), row[4]))
        else:
            by_check[row[1]].append(FlipFact(*row))
    return by_check, learned


def bad_hindsight_since(check_ids: Collection[UUID], since: datetime) -> dict[UUID, list[Learned]]:
    """Return what late results say of the checks that they call unwell since then; mostly there are none."""
    late = Hindsight.objects.filter(watched_id__in=check_ids, until_at__gte=since)
    unwell = late.filter(state__in=(State.DOWN, State.DEGRADED))
    learned: dict[UUID, list[Learned]] = {}
    rows = late.filter(watched_id__in=unwell.values("watched_id"))
    for check_id, start, end, state in rows.values_list("watched_id", "since_at", "until_at", "state"):
        learned.setdefault(check_id, []).append(Learned(span(start, end), state))
    return learned


def listed_pages() -> QuerySet[StatusPage]:
    """Return the tenant's pages by title, each with ``component_count``."""
    pages: QuerySet[StatusPage] = StatusPage.objects.order_by("title", "id")
    return pages.annotate(component_count=Count("components"))


def checks_not_on(page: StatusPage) -> QuerySet[Check]:
    """Return the checks that the page does not show yet, by name."""
    checks: QuerySet[Check] = Check.objects.exclude(id__in=Component.objects.filter(page=page).values("watched"))
    return checks.order_by("name", "id")


def pages_showing(check_ids: Iterable[UUID]) -> list[UUID]:
    """Return the ids of the pages that show one of the checks."""
    rows = Component.objects.filter(watched_id__in=list(check_ids))
    return list(rows.order_by("page_id").values_list("page_id", flat=True).distinct())
