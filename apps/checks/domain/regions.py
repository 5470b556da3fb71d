"""Regions: which there are, which live, and which are sick."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from apps.checks.domain.judging import SILENT_AFTER, rejudge
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Agent, Region, SickSpell
from apps.core import clock
from apps.core.tenancy import system_scope

logger = logging.getLogger(__name__)

# A region whose prober gave no sign of life for so long cannot be chosen.
ALIVE_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Place:
    """A region as the open tenant knows it: that of an agent bears the agent's code and name."""

    id: int
    code: str
    name: str
    agent: Agent | None = None

    def __str__(self) -> str:
        return self.name or self.code


def region_of_code(code: str) -> Region:
    """Return the shared region that a prober says it is in; one that is new is made."""
    region: Region = Region.objects.get_or_create(code=code, defaults={"name": code})[0]
    if region.is_private:
        raise ImproperlyConfigured("PROBE_REGION names an agent's region: only the agent probes from there.")
    return region


def shared_regions() -> list[Region]:
    """Return the regions that serve everybody and whose prober lives; the main one always."""
    now = clock.now()
    regions = Region.objects.filter(is_private=False)
    return [
        region
        for region in regions
        if region.id == MAIN_REGION or (region.seen_at and now - region.seen_at < ALIVE_WITHIN)
    ]


def note_controls(region: Region, targets: Sequence[str]) -> None:
    """Note whether a shared region has control targets; without any, say so to whoever runs its prober.

    There are none but those that are named: nobody's host is asked without a word of the operator.
    """
    Region.objects.filter(id=region.id).update(has_controls=bool(targets))
    if not targets:
        text = "no PROBE_CONTROLS are named: while the network of region %s fails, what it probes seems to be down"
        logger.warning(text, region)


def regions_without_controls() -> list[str]:
    """Return the codes of the shared regions whose probers live, and have no control targets."""
    return [region.code for region in shared_regions() if region.has_controls is False]


def selectable_regions() -> list[Place]:
    """Return the regions that a check of the open tenant may be probed from: the shared ones, and its own agents'."""
    own = Agent.objects.filter(revoked_at=None).order_by("name", "id")
    return [_place(region) for region in shared_regions()] + [_place_of_agent(agent) for agent in own]


def known_places(region_ids: Iterable[int] | None = None) -> dict[int, Place]:
    """Return regions by id, as the open tenant knows them: all it may hear of, or those asked for."""
    shared, own = Region.objects.filter(is_private=False), Agent.objects.all()
    if region_ids is not None:
        wanted = set(region_ids)
        shared, own = shared.filter(id__in=wanted), own.filter(region_id__in=wanted)
    places = [*(_place(region) for region in shared), *(_place_of_agent(agent) for agent in own)]
    return {place.id: place for place in places}


def _place(region: Region) -> Place:
    return Place(region.id, region.code, region.name)


def _place_of_agent(agent: Agent) -> Place:
    return Place(agent.region_id, agent.code, agent.name, agent)


def regions_to_choose(kept: Iterable[int]) -> list[Place]:
    """Return what a form offers: the regions that may be selected, and those that the check has already."""
    offered = {place.id: place for place in selectable_regions()}
    missing = [region_id for region_id in kept if region_id not in offered]
    return [*offered.values(), *(known_places(missing).values() if missing else ())]


def region_codes() -> dict[int, str]:
    """Return the codes of the regions that the open tenant may hear of, by id."""
    return {place.id: place.code for place in known_places().values()}


def mark_seen(region_id: int, *, lives_on: bool = False) -> None:
    """Note that the region's prober lives. What nobody looked at until now is told first: that time is unknown.

    A prober that ``lives_on`` knows that it gave the last sign just now, however old it looks by a clock that was set.
    """
    if not lives_on:
        lose_sight_of_silent_regions()
    Region.objects.filter(id=region_id).update(seen_at=clock.now())


def mark_agent_seen(region: Region) -> None:
    """`mark_seen` for an agent's region: there may be thousands, so each looks at its own turns only."""
    now = clock.now()
    if region.seen_at and now - region.seen_at > SILENT_AFTER:
        _lose_sight(region_id=region.id)
    Region.objects.filter(id=region.id).update(seen_at=now)
    region.seen_at = now


# Rivals: probers and people, who lock turns in this order too.
LOSE_SIGHT = """
WITH unseen AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id, region.seen_at
    FROM checks_turn AS turn JOIN checks_region AS region ON region.id = turn.region_id
    WHERE region.seen_at < %(before)s AND turn.opinion IS NOT NULL AND turn.claimable_at IS NOT NULL
      AND region.id = coalesce(%(region)s, region.id)
    ORDER BY turn.check_id, turn.region_id FOR NO KEY UPDATE OF turn
)
UPDATE checks_turn AS turn SET opinion = NULL, failures = 0, successes = 0, last_verdict = %(unknown)s,
    run_since_at = unseen.seen_at
FROM unseen WHERE turn.check_id = unseen.check_id AND turn.region_id = unseen.region_id
RETURNING turn.check_id
"""


# A sign of life that lies ahead was given by a clock that was set back since: it counts from now on.
STRAIGHTEN = "UPDATE checks_region SET seen_at = %(now)s WHERE seen_at > %(now)s + interval '30 seconds'"


def lose_sight_of_silent_regions() -> int:
    """Forget what regions say whose prober gave no sign of life for `SILENT_AFTER`: nobody looks, so nobody knows.

    What depended on them becomes unknown since that sign. Return how many checks that were.
    """
    return _lose_sight()


def _lose_sight(*, region_id: int | None = None) -> int:
    with system_scope("regions serve every tenant"), transaction.atomic():
        with connection.cursor() as cursor:
            given: dict[str, Any] = {
                "unknown": Verdict.UNKNOWN,
                "before": clock.now() - SILENT_AFTER,
                "region": region_id,
            }
            cursor.execute(STRAIGHTEN, {"now": clock.now()})
            cursor.execute(LOSE_SIGHT, given)
            check_ids = {check_id for (check_id,) in cursor.fetchall()}
        rejudge(check_ids)
    return len(check_ids)


@transaction.atomic
def mark_sick(region_id: int, failed_controls: Sequence[str]) -> None:
    """Leave the region out of verdicts from now on. Rival: another prober of it; the conditional update lets one begin."""
    now = clock.now()
    if Region.objects.filter(id=region_id, sick_since_at=None).update(sick_since_at=now):
        SickSpell.objects.create(region_id=region_id, began_at=now, failed_controls=list(failed_controls))


# The checks that a region's voice may change: where it says what is already so, counting it in changes nothing.
AT_ODDS = f"""
SELECT turn.check_id FROM checks_turn AS turn JOIN checks_checkstate AS standing ON standing.check_id = turn.check_id
WHERE turn.region_id = %s AND turn.claimable_at IS NOT NULL AND turn.opinion IS NOT NULL
  AND standing.state <> CASE turn.opinion WHEN {Verdict.FAILURE} THEN '{State.DOWN}'
                                          WHEN {Verdict.DEGRADED} THEN '{State.DEGRADED}' ELSE '{State.UP}' END
ORDER BY turn.check_id
"""  # noqa: S608 - constants alone


@transaction.atomic
def mark_well(region_id: int) -> None:
    """Count the region in again, with what it says by now. Rival: another prober of it; only one ends the spell."""
    now = clock.now()
    if not Region.objects.filter(id=region_id, sick_since_at__isnull=False).update(sick_since_at=None):
        return
    SickSpell.objects.filter(region_id=region_id, ended_at=None).update(ended_at=now)
    with system_scope("regions serve every tenant"):
        with connection.cursor() as cursor:
            cursor.execute(AT_ODDS, [region_id])
            at_odds = [check_id for (check_id,) in cursor.fetchall()]
        rejudge(at_odds, at=now)
