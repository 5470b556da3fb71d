"""Regions that stay while a check is saved onto them: those of agents can be deleted, and a turn there would lead nowhere."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.checks.domain.regions import Place, known_places
from apps.checks.domain.switches import runs_on_agents
from apps.checks.models import MAIN_REGION, Check, Region
from apps.checks.types.base import CheckType
from apps.core.postgres.memory import read_once
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id


class RegionGone(Refusal):
    """A chosen region went with its agent; the text names it."""

    field = "regions"


class NotOnAgents(Refusal):
    """A check would only ever be told that it cannot be run there."""

    field = "regions"


SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def hold_regions() -> None:
    """Let none of the tenant's regions go until the end of the transaction.

    Rival: somebody deleting an agent, who waits for us or makes us wait. Take it before the plan's lock and those of rows.
    """
    read_once(("regions held", current_tenant_id()), lambda: _lock(SHARED))


def outwait_holders() -> None:
    """Wait for all who hold the tenant's regions; who comes after us waits until the end of our transaction."""
    _lock(ALONE)


def _lock(statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [f"regions:{current_tenant_id()}"])
    return True


@dataclass(frozen=True, slots=True)
class StandingRegions:
    """Regions that are there and stay, and what those are called that were asked for."""

    ids: Collection[int]
    asked: dict[int, Place]
    agents: Collection[int] = ()

    def of(self, chosen: Collection[int], *, kept: Collection[int] = ()) -> tuple[int, ...]:
        """Return the chosen ones that are there; raise `RegionGone` unless those that are not were merely ``kept``.

        What a check had before goes silently, as it went from the checks that were there when its agent was deleted.
        """
        left = tuple(region_id for region_id in chosen if region_id in self.ids)
        gone = [region_id for region_id in chosen if region_id not in self.ids and (region_id not in kept or not left)]
        if gone:
            raise RegionGone(self._refusal(gone))
        return left

    def refuse_agents(self, kind: CheckType, chosen: Collection[int], *, kept: Collection[int] = ()) -> None:
        """Raise `NotOnAgents` where a kind that agents do not run is to be moved onto one."""
        wrong = [region_id for region_id in chosen if region_id in self.agents and region_id not in kept]
        if wrong and not runs_on_agents(kind):
            names = ", ".join(f"“{self.asked[region_id]}”" for region_id in wrong if region_id in self.asked)
            text = _("Agents do not run checks of the kind “%(kind)s”: choose other regions than %(names)s.")
            raise NotOnAgents(text % {"kind": kind.label, "names": names})

    def _refusal(self, gone: Collection[int]) -> str:
        names = ", ".join(f"“{self.asked[region_id]}”" for region_id in gone if region_id in self.asked)
        if not names:
            return _("A chosen region is gone: its agent was deleted. Choose others.")
        text = ngettext(
            "The region %(names)s is gone: its agent was deleted. Choose another one.",
            "The regions %(names)s are gone: their agents were deleted. Choose others.",
            len(gone),
        )
        return text % {"names": names}


def standing_regions(region_ids: Iterable[int]) -> StandingRegions:
    """Return which of these regions are there, and hold them; the main one is never asked for."""
    wanted = set(region_ids) - {MAIN_REGION}
    if not wanted:
        return StandingRegions({MAIN_REGION}, {})
    # Before we wait: afterwards nobody knows their names.
    asked = read_once(("places", frozenset(wanted)), lambda: known_places(wanted))
    hold_regions()
    there = dict(Region.objects.filter(id__in=wanted).values_list("id", "is_private"))
    agents = {region_id for region_id, is_private in there.items() if is_private}
    return StandingRegions({*there, MAIN_REGION}, asked, agents)


def follow_deleted_regions(checks: Collection[Check]) -> None:
    """Hold the regions of checks that were read a while ago; those that went since then go from the objects, too."""
    if any(set(check.regions) - {MAIN_REGION} for check in checks):
        hold_regions()
        rows = Check.objects.filter(id__in=[check.id for check in checks]).values_list("id", "regions")
        present = dict(rows)
        for check in checks:
            check.regions = present.get(check.id, check.regions)
