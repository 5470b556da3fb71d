"""Creating, changing, pausing and deleting checks: many at a time in a handful of statements; one is a case of many."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.allowance import allowed_interval, require_fit, require_resumable, require_room_for
from apps.checks.domain.asking_pace import spend_by_hand
from apps.checks.domain.document_keys import keys_kept
from apps.checks.domain.flips import flip, lock_states, now_as, record_flips
from apps.checks.domain.group_shape import FOUND_BY
from apps.checks.domain.grouping import follow_names, named_rows
from apps.checks.domain.judging import rejudge
from apps.checks.domain.learning import keep_goals
from apps.checks.domain.pacing import (
    BATCH,
    bring_forward,
    follow_regions,
    forget_counts,
    hold_turns,
    pass_by_probes,
    start_turns,
    stop_turns,
)
from apps.checks.domain.region_holds import (
    StandingRegions,
    follow_deleted_regions,
    hold_regions,
    standing_regions,
)
from apps.checks.domain.settings import config_of, keep_config, type_of
from apps.checks.domain.unprobed import parted
from apps.checks.enums import State
from apps.checks.models import MAIN_REGION, Check, CheckState, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kinds import Config, parse_config
from apps.core.postgres.deleting import delete_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often, how patiently, and what is slow."""

    interval_seconds: int = 60
    timeout_seconds: int = 10
    retries: int = 1
    retry_interval_seconds: int = 5
    degraded_ms: int | None = None
    recoveries: int = 1
    false_page_period: str = ""
    regions: tuple[int, ...] = (MAIN_REGION,)
    confirmations: int = 1


def usual_timing(**given: Any) -> Timing:
    """Return a timing in which an interval that nobody gave is the usual one, or the shortest that the plan allows."""
    given.setdefault("interval_seconds", allowed_interval(Timing().interval_seconds))
    return Timing(**given)


def timing_of(check: Check) -> Timing:
    given = {name: getattr(check, name) for name in Timing.__slots__}
    return Timing(**{**given, "regions": tuple(check.regions)})


def require_enough_regions(confirmations: int, regions: Collection[int]) -> None:
    """Refuse that more regions must agree than there are."""
    if confirmations > len(regions):
        raise ValidationError({"confirmations": [_("There are fewer regions than that.")]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Everything people set of a check. ``key`` is what configuration as code calls it; None leaves it as it is."""

    name: str
    kind: str
    config: Config
    timing: Timing
    tags: Sequence[str] = ()
    key: str | None = None


# --- Making ------------------------------------------------------------------------------------------------------


def create_check(
    *,
    name: str,
    kind: str,
    config: Config,
    timing: Timing | None = None,
    tags: list[str] | None = None,
    key: str = "",
) -> Check:
    """Watch something: the first turn is now. Raises what `create_checks` raises."""
    timing = timing or usual_timing()
    return create_checks([Wanted(name=name, kind=kind, config=config, timing=timing, tags=tags or [], key=key)])[0]


@transaction.atomic
def create_checks(wanted: Sequence[Wanted]) -> list[Check]:
    """Watch these, in their order; the first turns begin now, those of many one after the other.

    Raises `BeyondLimit` where the tenant's plan has no room for them, or not for such settings, `RegionGone` and
    `NotOnAgents`, `KeyTaken`, and by their kinds `AddressTaken`, or `GroupCycle`, `GroupsTooDeep` and `TooManyGroups`; then none is
    made.
    """
    regions = standing_regions(_regions_of(wanted))  # first: who waits for it must hold nothing else
    for given in wanted:
        regions.refuse_agents(CHECK_TYPES.get(given.kind), regions.of(given.timing.regions))
    for given in wanted:
        require_fit(given.kind, given.timing)
    require_room_for(given.kind for given in wanted)
    made = [_put(Check(kind=given.kind, key=given.key or ""), given) for given in wanted]
    with keys_kept():
        Check.objects.bulk_create(made, batch_size=BATCH)
    CheckState.objects.bulk_create((CheckState(watched=check) for check in made), batch_size=BATCH)
    probed, unprobed = parted(made)
    start_turns(probed, at=clock.now())
    for source, checks in unprobed:
        source.begin(checks)
    keep_goals(check.id for check in made)
    return made


def _regions_of(wanted: Iterable[Wanted]) -> Iterator[int]:
    return (region_id for given in wanted for region_id in given.timing.regions)


def _put(check: Check, given: Wanted) -> Check:
    """Put settings into a row; nothing is saved."""
    check.name, check.tags = given.name, list(given.tags)
    check.key = check.key if given.key is None else given.key
    for field in Timing.__slots__:
        setattr(check, field, getattr(given.timing, field))
    check.regions = list(given.timing.regions)
    keep_config(check, given.config)
    return check


# --- Changing ----------------------------------------------------------------------------------------------------

KEEPS_KIND = _("A check keeps its kind (%(kind)s); make another one, with another key.")
EDITED = ("name", "tags", "key", "config", "secrets", "target", "version", "updated_at", *Timing.__slots__)
# Decides how often a check fails by chance and how long that lasts, besides its kind's settings.
LEARNED_UNDER = ("target", "timeout_seconds", "interval_seconds", "retry_interval_seconds")


def update_check(
    check: Check, *, name: str, config: Config, timing: Timing, tags: list[str], key: str | None = None
) -> Check:
    """Change a check; ``key`` None leaves it as it is. Raises what `update_checks` raises."""
    given = Wanted(name=name, kind=check.kind, config=config, timing=timing, tags=tags, key=key)
    update_checks([(check, given)])
    return check


@transaction.atomic
def change_check(
    check_id: UUID,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    timing: Mapping[str, Any] | None = None,
    tags: list[str] | None = None,
    key: str | None = None,
) -> Check | None:
    """Change of a check what is given and leave the rest as it stands by then; None where it is gone.

    ``config`` holds some settings of its kind as people give them, ``timing`` some fields of `Timing`. What comes of it is
    judged as a whole: raises `ConfigErrors`, `ValidationError` and what `update_checks` raises.
    """
    # All in the order of `update_checks`, which locks the same once more.
    standing_regions((timing or {}).get("regions", ()))  # before the lock, for the names of those that go meanwhile
    hold_regions()
    hold_turns([check_id])
    lock_states([check_id])
    # Rivals: who renames it, approves its baseline or edits something else of it; what they make of it stays.
    check = {row.id: row for row in named_rows([check_id], renames=name is not None)}.get(check_id)
    if check is None:
        return None
    stored, whole = config_of(check), replace(timing_of(check), **(timing or {}))
    require_enough_regions(whole.confirmations, whole.regions)
    wanted = Wanted(
        name=check.name if name is None else name,
        kind=check.kind,
        config=stored if config is None else parse_config(type_of(check).Config, config, stored=stored),
        timing=whole,
        tags=check.tags if tags is None else tags,
        key=key,
    )
    update_checks([(check, wanted)])
    return check


@transaction.atomic
def update_checks(edits: Sequence[tuple[Check, Wanted]]) -> list[Check]:
    """Give checks these settings, and return those that were still there.

    Probers see the new version at its next turn, which a shorter interval brings closer; what they see of the old one
    judges nothing any more. Groups that know a check by its name learn the new one. Raises `BeyondLimit` for what the
    tenant's plan does not allow, `RegionGone`, `NotOnAgents` and `KeyTaken`; an interval that stays as it was is raised to the plan's
    shortest.
    """
    regions = standing_regions(_regions_of(given for _check, given in edits))
    standing = [(check, _as_standing(check, given.timing, regions), given) for check, given in edits]
    allowed = [(check, replace(given, timing=_as_allowed(check, timing))) for check, timing, given in standing]
    hold_turns(check.id for check, _given in edits)
    lock_states(check.id for check, _given in edits)  # before the checks, as those do who delete them
    # Rivals: a colleague who edits them, too, or deletes them; not those who write flips, which refer to them.
    rows = named_rows([check.id for check, _given in edits], renames=any(_renames(*edit) for edit in edits))
    before = {row["id"]: row for row in rows.values("id", "version", *FOUND_BY, *LEARNED_UNDER)}
    now, changed = clock.now(), []
    for check, given in allowed:
        if check.id in before:
            changed.append(_put(check, given))
            check.version, check.updated_at = before[check.id]["version"] + 1, now
    # Written as an insert that meets its row: Django's own update of many rows is thirty times slower.
    with keys_kept():
        Check.objects.bulk_create(
            changed, batch_size=BATCH, update_conflicts=True, unique_fields=["id"], update_fields=EDITED
        )
    if others := [check for check in changed if _fails_otherwise(check, before[check.id])]:
        forget_counts(others)
    # First: groups that knew a check by its old name are not judged by having lost it.
    if renamed := {check.id: before[check.id]["name"] for check in changed if check.name != before[check.id]["name"]}:
        follow_names(renamed)
    _follow_settings(changed, before)
    return changed


def _fails_otherwise(check: Check, before: Mapping[str, Any]) -> bool:
    """Tell whether a check asks something else, or asks otherwise, than what its history was counted under.

    Settings that its kind has got or lost since it was last saved are no change of what people asked for.
    """
    asked = before["config"]
    is_edited = any(asked.get(name, value) != value for name, value in check.config.items())
    return is_edited or any(getattr(check, field) != before[field] for field in LEARNED_UNDER)


def _renames(check: Check, given: Wanted) -> bool:
    return check.name != given.name


def _follow_settings(checks: Sequence[Check], before: Mapping[UUID, Mapping[str, Any]]) -> None:
    probed, unprobed = parted(checks)
    for source, theirs in unprobed:
        source.settings_changed(theirs, before)
    now = clock.now()
    pass_by_probes(probed, now=now)
    running = _without(State.PAUSED, probed)
    if running:
        follow_regions(running, at=now)
        keep_goals(check.id for check in running)
        # Fewer confirmations may make one down at once: from now on, since the past was judged by what was asked for then.
        rejudge([check.id for check in running], at=now)
    bring_forward(probed, now=now)


def _without(state: State, checks: Sequence[Check]) -> list[Check]:
    ids = set(CheckState.objects.filter(watched__in=checks, state=state).values_list("pk", flat=True))
    return [check for check in checks if check.id not in ids]


def _as_standing(check: Check, timing: Timing, regions: StandingRegions) -> Timing:
    left = regions.of(timing.regions, kept=check.regions)
    regions.refuse_agents(type_of(check), left, kept=check.regions)
    return replace(timing, regions=left, confirmations=min(timing.confirmations, len(left)))


def _as_allowed(check: Check, timing: Timing) -> Timing:
    if timing.interval_seconds == check.interval_seconds and type_of(check).is_probed:
        timing = replace(timing, interval_seconds=allowed_interval(timing.interval_seconds))
    require_fit(check.kind, timing, was=check)
    return timing


@transaction.atomic
def rename_check(check: Check, *, name: str) -> Check:
    """Call a check something else; probers need not know, groups that know it by its name do."""
    list(named_rows([check.id], renames=True).values_list("id"))  # rivals: as of `update_checks`
    before, check.name, check.updated_at = check.name, name, clock.now()
    check.save(update_fields=["name", "updated_at"])
    if before != name:
        follow_names({check.id: before})
    return check


# --- Resting and going on ----------------------------------------------------------------------------------------


def pause_check(check: Check) -> None:
    """Stop watching for now; a second time changes nothing."""
    pause_checks([check])


def resume_check(check: Check) -> None:
    """Watch again, from now on, with nothing known; a check that is not paused stays as it is.

    Raises `BeyondLimit` while there are more checks than the tenant's plan allows.
    """
    resume_checks([check])


@transaction.atomic
def pause_checks(checks: Sequence[Check]) -> list[Check]:
    """Stop watching these for now; return those that were not paused yet."""
    changed = _change_states(checks, State.PAUSED, lambda state: state != State.PAUSED)
    probed, unprobed = parted(changed)
    stop_turns(probed)
    for source, theirs in unprobed:
        source.pause(theirs)
    return changed


@transaction.atomic
def resume_checks(checks: Sequence[Check]) -> list[Check]:
    """Watch those of them that are paused again, from now on, with nothing known; return these. Raises as `resume_check`."""
    follow_deleted_regions(checks)
    paused = Check.objects.filter(id__in=[check.id for check in checks], checkstate__state=State.PAUSED)
    require_resumable(paused.values_list("kind", flat=True))  # before the states, as `lock_plan` asks
    changed = _change_states(checks, State.UNKNOWN, lambda state: state == State.PAUSED)
    probed, unprobed = parted(changed)
    start_turns(probed, at=clock.now())
    for source, theirs in unprobed:
        source.resume(theirs)
    return changed


def _change_states(checks: Sequence[Check], after: State, is_wanted: Callable[[str], bool]) -> list[Check]:
    """Flip those whose state is wanted, while no prober stores results of theirs."""
    hold_turns(check.id for check in checks)
    standings = [row for row in lock_states(check.id for check in checks).values() if is_wanted(row.state)]
    record_flips([(standing, flip(standing, now_as(after))) for standing in standings])
    flipped = {standing.pk for standing in standings}
    return [check for check in checks if check.id in flipped]


@transaction.atomic
def check_now(check: Check) -> None:
    """Bring the next turn forward to now, unless the check is paused or being probed."""
    now = clock.now()
    # Rivals: who edits or deletes the check, or stores a result of it, moves its turns anyway; and a round of alerts that
    # asks for a look at a parent holds what they may be waiting for.
    free = _to_come(check, now).select_for_update(no_key=True, skip_locked=True)
    places = list(free.values_list("region_id", flat=True))
    Turn.objects.filter(watched=check, region_id__in=places).update(due_at=now, claimable_at=now)


def check_by_hand(check: Check) -> None:
    """`check_now` for somebody who asks; raises `TooSoon`. Who asks for what would change nothing is not counted."""
    if _to_come(check, clock.now()).exists():
        spend_by_hand(check.id)
        check_now(check)


def _to_come(check: Check, now: datetime) -> QuerySet[Turn]:
    """Return the check's turns that nobody holds and that lie ahead."""
    turns: QuerySet[Turn] = Turn.objects.filter(watched=check, claimable_at=F("due_at"), due_at__gt=now)
    return turns


# --- Forgetting --------------------------------------------------------------------------------------------------


def delete_check(check: Check) -> None:
    """Forget a check, its state, flips and outages; its results go with their partitions."""
    delete_checks([check])


@transaction.atomic
def delete_checks(checks: Iterable[Check]) -> None:
    """Forget checks as `delete_check` does."""
    check_ids = [check.id for check in checks]
    # Rivals: probers and reports lock turns, states, then what they add flips to; handlers lock checks, then outages.
    hold_turns(check_ids)
    lock_states(check_ids)
    delete_whole(Check.objects.filter(id__in=check_ids))
