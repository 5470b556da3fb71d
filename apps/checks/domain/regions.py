"""Regions: which there are, which live, and which are sick."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import connection, transaction

from apps.checks.domain.judging import SILENT_AFTER, rejudge
from apps.checks.enums import Verdict
from apps.checks.models import MAIN_REGION, Region, SickSpell
from apps.core import clock
from apps.core.tenancy import system_scope

# A region whose prober gave no sign of life for so long cannot be chosen.
ALIVE_WITHIN = timedelta(minutes=5)


def region_of_code(code: str) -> Region:
    """Return the shared region that a prober says it is in; one that is new is made."""
    return Region.objects.get_or_create(code=code, defaults={"name": code})[0]


def shared_regions() -> list[Region]:
    """Return the regions that serve everybody and whose prober lives; the main one always."""
    now = clock.now()
    regions = Region.objects.filter(is_private=False)
    return [
        region
        for region in regions
        if region.id == MAIN_REGION or (region.seen_at and now - region.seen_at < ALIVE_WITHIN)
    ]


def selectable_regions() -> list[Region]:
    """Return the regions that a check of the open tenant may be probed from."""
    return shared_regions()


def regions_to_choose(kept: Iterable[int]) -> list[Region]:
    """Return what a form offers: the regions that may be selected, and those that the check has already."""
    offered = {region.id: region for region in selectable_regions()}
    missing = [region_id for region_id in kept if region_id not in offered]
    return [*offered.values(), *Region.objects.filter(id__in=missing)]


def region_codes() -> dict[int, str]:
    """Return every region's code by its id."""
    return dict(Region.objects.values_list("id", "code"))


def mark_seen(region_id: int) -> None:
    """Note that the region's prober lives. What nobody looked at until now is told first: that time is unknown."""
    lose_sight_of_silent_regions()
    Region.objects.filter(id=region_id).update(seen_at=clock.now())


LOSE_SIGHT = """
UPDATE checks_turn AS turn SET opinion = NULL, failures = 0, successes = 0, last_verdict = %(unknown)s,
    run_since_at = region.seen_at
FROM checks_region AS region
WHERE region.id = turn.region_id AND region.seen_at < %(before)s AND turn.opinion IS NOT NULL
  AND turn.claimable_at IS NOT NULL
RETURNING turn.check_id
"""


def lose_sight_of_silent_regions() -> int:
    """Forget what regions say whose prober gave no sign of life for `SILENT_AFTER`: nobody looks, so nobody knows.

    What depended on them becomes unknown since that sign. Return how many checks that were.
    """
    with system_scope("regions serve every tenant"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOSE_SIGHT, {"unknown": Verdict.UNKNOWN, "before": clock.now() - SILENT_AFTER})
            check_ids = {check_id for (check_id,) in cursor.fetchall()}
        rejudge(check_ids)
    return len(check_ids)


@transaction.atomic
def mark_sick(region_id: int, failed_controls: Sequence[str]) -> None:
    """Leave the region out of verdicts from now on. Rival: another prober of it; the conditional update lets one begin."""
    now = clock.now()
    if Region.objects.filter(id=region_id, sick_since_at=None).update(sick_since_at=now):
        SickSpell.objects.create(region_id=region_id, began_at=now, failed_controls=list(failed_controls))


@transaction.atomic
def mark_well(region_id: int) -> None:
    """Count the region in again."""
    if Region.objects.filter(id=region_id, sick_since_at__isnull=False).update(sick_since_at=None):
        SickSpell.objects.filter(region_id=region_id, ended_at=None).update(ended_at=clock.now())
