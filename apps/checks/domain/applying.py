"""Making the tenant's checks what a document wants: first a plan, then all of it or nothing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.domain import checks
from apps.checks.domain.checks import Wanted, timing_of
from apps.checks.domain.configuration import (
    TIMING_FIELDS,
    Configuration,
    DocumentErrors,
    Entry,
    Standing,
    configuration_document,
    read_configuration,
    settle_config,
)
from apps.checks.domain.dependencies import set_parents_of
from apps.checks.domain.document_keys import keys_kept, with_keys
from apps.checks.domain.document_limits import refuse_beyond_plan, with_usual_intervals
from apps.checks.domain.document_members import Roll, roll_of, settled_members, written_members
from apps.checks.domain.document_plan import Plan, Step
from apps.checks.domain.document_steps import Action, Change, SectionStep, sections
from apps.checks.domain.flips import lock_states
from apps.checks.domain.pacing import hold_turns
from apps.checks.domain.region_holds import hold_regions
from apps.checks.domain.regions import region_codes, selectable_regions
from apps.checks.domain.settings import config_of
from apps.checks.domain.tags import MANAGED_BY
from apps.checks.enums import State
from apps.checks.models import Agent, Check, Dependency
from apps.core.kinds import Config, is_secret_setting
from apps.core.tenancy import current_tenant_id

HIDDEN = "••••"


# --- Deciding ----------------------------------------------------------------------------------------------------


def make_plan(entries: Iterable[Entry], standing: Iterable[Standing], *, prune_label: str = "") -> Plan:
    """Return what is to be done; raise `DocumentErrors` where a check cannot become what its entry wants.

    Only checks tagged ``managed-by:<prune_label>`` may go, and only where a label is given.
    """
    by_key = {check.key: check for check in standing}
    wanted = list(entries)
    rolls = _rolls(by_key, wanted)
    steps: list[Step] = []
    errors: dict[str, list[str | Promise]] = {}
    for entry in wanted:
        try:
            steps.append(_step(entry, by_key.pop(entry.key, None), *rolls))
        except DocumentErrors as error:
            errors.update({path: list(texts) for path, texts in error.errors.items()})
    tag = MANAGED_BY + prune_label
    goners = [check for check in by_key.values() if prune_label and tag in check.tags and not check.is_agents]
    known = {entry.key for entry in wanted} | set(by_key) - {check.key for check in goners}
    errors.update(_missing_parents(wanted, known))
    if errors:
        raise DocumentErrors(errors)
    steps.extend(
        Step(action=Action.PRUNE, key=check.key, name=check.name, kind=check.kind, standing=check) for check in goners
    )
    return Plan(tuple(steps))


def _missing_parents(entries: Iterable[Entry], known: Collection[str]) -> dict[str, list[str | Promise]]:
    return {
        f"{entry.path}.depends_on": [_("There is no check with the key “%(key)s”.") % {"key": key[:100]}]
        for entry in entries
        for key in entry.depends_on or ()
        if key not in known
    }


def _rolls(by_key: Mapping[str, Standing], wanted: Collection[Entry]) -> tuple[Roll, Roll]:
    """Return how checks are called before and after; each has its key by the document, if not already."""
    named = {entry.key for entry in wanted}
    keys, ids = named | set(by_key), {check.id: key for key, check in by_key.items()}
    others = [check for check in by_key.values() if check.key not in named]
    return roll_of(by_key.values(), keys=keys, ids=ids), roll_of([*wanted, *others], keys=keys, ids=ids)


def _step(entry: Entry, standing: Standing | None, before: Roll, after: Roll) -> Step:
    if standing is not None and standing.kind != entry.kind:
        raise DocumentErrors({f"{entry.path}.kind": [checks.KEEPS_KIND % {"kind": standing.kind}]})
    stored = standing.config if standing else None
    config = settled_members(settle_config(entry, stored), stored, before=before, after=after)
    if standing and entry.depends_on is not None:
        entry = replace(entry, depends_on=_with_agents(entry.depends_on, standing))
    changes = tuple(_changes(entry, config, standing)) if standing else ()
    action = Action.CREATE if standing is None else Action.UPDATE if changes else Action.UNCHANGED
    return Step(
        action=action,
        key=entry.key,
        name=entry.name,
        kind=entry.kind,
        entry=entry,
        config=config,
        standing=standing,
        changes=changes,
    )


def _with_agents(depends_on: tuple[str, ...], standing: Standing) -> tuple[str, ...]:
    """Return what a check depends on, with the agents that it depends on already and that no export names."""
    return tuple(sorted({*depends_on, *standing.agents_above}))


def _changes(entry: Entry, config: Config, standing: Standing) -> Iterable[Change]:
    if entry.name != standing.name:
        yield Change("name", standing.name, entry.name)
    for entry_field in fields(config):
        name = entry_field.name
        before, after = getattr(standing.config, name), getattr(config, name)
        if before != after:
            is_secret = is_secret_setting(type(config), name)
            shown = (_hidden(before), _hidden(after)) if is_secret else (before, after)
            yield Change(f"config.{name}", *shown)
    for name in TIMING_FIELDS:
        before, after = getattr(standing.timing, name), getattr(entry.timing, name)
        if before != after:
            yield Change(name, before, after)
    if entry.tags != standing.tags:
        yield Change("tags", standing.tags, entry.tags)
    stood = _with_agents(standing.depends_on, standing)
    if entry.depends_on not in (None, stood):
        yield Change("depends_on", list(stood), list(entry.depends_on or ()))
    if entry.is_paused not in (None, standing.is_paused):
        yield Change("paused", standing.is_paused, entry.is_paused)


def _hidden(value: Any) -> Any:
    """Return the shape of a secret: the names in it may be seen, the values may not."""
    if isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    return HIDDEN if value else value


# --- Reading and writing rows ------------------------------------------------------------------------------------


def standing_checks() -> list[Standing]:
    """Return the tenant's checks as values, oldest first, every one with a key."""
    rows = list(Check.objects.select_related("checkstate").order_by("created_at", "id"))
    keys = with_keys((row.name, row.key) for row in rows)
    key_of = {row.id: key for row, key in zip(rows, keys, strict=True)}
    agents = set(Agent.objects.exclude(heartbeat=None).values_list("heartbeat_id", flat=True))
    above: dict[UUID, list[UUID]] = {}
    for child_id, parent_id in Dependency.objects.values_list("child_id", "parent_id"):
        above.setdefault(child_id, []).append(parent_id)
    return [_standing(row, key_of, above.get(row.id, ()), agents=agents) for row in rows]


def _standing(row: Check, key_of: Mapping[UUID, str], above: Iterable[UUID], *, agents: Collection[UUID]) -> Standing:
    parents = sorted((key_of[parent], parent in agents) for parent in above)
    return Standing(
        id=row.id,
        key=key_of[row.id],
        name=row.name,
        kind=row.kind,
        config=config_of(row),
        timing=timing_of(row),
        tags=list(row.tags),
        is_paused=row.checkstate.state == State.PAUSED,
        depends_on=tuple(key for key, is_agents in parents if not is_agents),
        is_keyed=bool(row.key),
        is_agents=row.id in agents,
        agents_above=tuple(key for key, is_agents in parents if is_agents),
    )


def regions_by_code() -> dict[str, int]:
    """Return the regions that a document may name: those that probe now, and those that checks have already."""
    used = {number for numbers in Check.objects.values_list("regions", flat=True) for number in numbers}
    kept = {code: number for number, code in region_codes().items() if number in used}
    return {**kept, **{region.code: region.id for region in selectable_regions()}}


def export_checks(*, tag: str = "") -> dict[str, Any]:
    """Return the document that describes the tenant's checks and the rest, or the checks with a tag alone."""
    everything = standing_checks()
    standing = [check for check in everything if not check.is_agents and (not tag or tag in check.tags)]
    listed = list(_with_members_by_key(standing, everything))
    document = configuration_document(listed, region_codes=region_codes())
    keys = {check.id: check.key for check in standing}
    others = {} if tag else {name: section.export(keys=keys) for name, section in sections().items()}
    return document | {name: listed for name, listed in others.items() if listed}


def _with_members_by_key(listed: Iterable[Standing], everything: Collection[Standing]) -> Iterator[Standing]:
    """Write the members of groups by the keys that the document gives them, as they are found by now."""
    keyed = {check.key for check in everything if check.is_keyed}
    roll = roll_of(everything, keys=keyed, ids={check.id: check.key for check in everything})
    hidden = {check.key for check in everything if check.is_agents}
    for check in listed:
        yield replace(check, config=written_members(check.config, roll, hidden=hidden))


@transaction.atomic
def apply_document(document: Any, *, prune_label: str = "", is_dry_run: bool = False) -> Plan:
    """Make the checks what the document wants, all or nothing, and return what was (or would be) done."""
    hold_regions()  # before the document is held against them
    wanted = read_configuration(with_usual_intervals(document), regions=regions_by_code())
    if prune_label and prune_label != wanted.managed_by:
        raise DocumentErrors(
            {
                "managedBy": [
                    _("Write “managedBy: %(label)s” at the top, so that only checks of this document can be pruned.")
                    % {"label": prune_label}
                ]
            }
        )
    return apply_configuration(wanted, prune_label=prune_label, is_dry_run=is_dry_run)


@transaction.atomic
def apply_configuration(wanted: Configuration, *, prune_label: str = "", is_dry_run: bool = False) -> Plan:
    """The same for a document that was read already."""
    hold_regions()
    if not is_dry_run:
        _wait_for_turn()
    standing = standing_checks()
    plan = make_plan(wanted.entries, standing, prune_label=prune_label)
    refuse_beyond_plan(plan.checks)
    if not is_dry_run and (held := _hold(plan)):
        # Rivals: who approved a baseline of these, renamed or edited them since we looked; what they made of it stays.
        standing = standing_checks()
        plan = _of_held(make_plan(wanted.entries, standing, prune_label=prune_label), held)
        refuse_beyond_plan(plan.checks)
    plan = replace(plan, others=_plan_others(wanted, plan, standing, prune_label))
    if not is_dry_run:
        ids = {check.key: check.id for check in standing}
        _carry_out(plan, ids)
        for name, steps in plan.others.items():
            sections()[name].carry_out(steps, label=wanted.managed_by, ids=_without_agents(ids, standing))
    return plan


def _without_agents(ids: Mapping[str, UUID], standing: Iterable[Standing]) -> dict[str, UUID]:
    """Return what sections may name; the checks that tell of agents' silence are none of theirs."""
    agents = {check.key for check in standing if check.is_agents}
    return {key: check_id for key, check_id in ids.items() if key not in agents}


def _plan_others(
    wanted: Configuration, plan: Plan, standing: Iterable[Standing], prune_label: str
) -> dict[str, list[SectionStep]]:
    keys = {check.id: check.key for check in standing if not check.is_agents}
    gone = {step.key for step in plan.checks if step.action == Action.PRUNE}
    known = {*(check.key for check in standing), *(step.key for step in plan.checks)} - gone
    return {
        name: section.plan(
            wanted.others.get(name, ()), label=wanted.managed_by, prune_label=prune_label, keys=keys, known=known
        )
        for name, section in sections().items()
    }


def _carry_out(plan: Plan, ids: dict[str, UUID]) -> None:
    """Do all steps; ``ids`` are the checks that stand, by key."""
    rows = Check.objects.in_bulk([step.standing.id for step in plan.checks if step.standing])
    # What goes makes room first, for the tenant's plan may be full.
    checks.delete_checks(row for _step, row in _those(plan, rows, Action.PRUNE))
    # Before what comes: a new group may name them by these keys.
    _keep_keys([*_those(plan, rows, Action.UPDATE), *_those(plan, rows, Action.UNCHANGED)])
    coming = [step for step in plan.checks if step.action == Action.CREATE]
    made = checks.create_checks([_wanted(step) for step in coming])
    ids.update({step.key: check.id for step, check in zip(coming, made, strict=True)})
    _update(list(_those(plan, rows, Action.UPDATE)))
    set_parents_of({ids[step.key]: {ids[key] for key in parents} for step, parents in _redrawn(plan)})
    _rest_or_go_on(plan, rows, dict(zip((step.key for step in coming), made, strict=True)))


def _hold(plan: Plan) -> set[UUID]:
    """Lock at once what the steps would lock one after the other, and return the checks that are held now.

    Rivals: probers and colleagues, who take turns and then states, each in the order of their checks. They may hold turns of
    what we update and wait for states of what we prune: to hold these and wait for those would be a deadlock.
    """
    touched = {step.standing.id for step in plan.checks if step.standing and step.action != Action.UNCHANGED}
    hold_turns(touched)
    lock_states(touched)
    return touched


def _of_held(plan: Plan, held: Collection[UUID]) -> Plan:
    """Leave alone what became different only while we waited: it is not held, and the next run sees it."""
    steps = [
        replace(step, action=Action.UNCHANGED, changes=()) if step.standing and step.standing.id not in held else step
        for step in plan.checks
        if step.action != Action.PRUNE or (step.standing and step.standing.id in held)
    ]
    return replace(plan, checks=tuple(steps))


def _those(plan: Plan, rows: Mapping[UUID, Check], action: Action) -> Iterator[tuple[Step, Check]]:
    """Return the steps of an action with their checks; one deleted by hand since we looked is made anew by the next run."""
    for step in plan.checks:
        if step.action == action and step.standing and step.standing.id in rows:
            yield step, rows[step.standing.id]


def _wanted(step: Step) -> Wanted:
    assert step.entry and step.config  # noqa: S101, PT018 - only what goes has none
    entry = step.entry
    return Wanted(
        name=entry.name, kind=step.kind, config=step.config, timing=entry.timing, tags=entry.tags, key=step.key
    )


def _update(steps: list[tuple[Step, Check]]) -> None:
    edited = [
        (check, _wanted(step))
        for step, check in steps
        if any(change.field not in ("paused", "depends_on") for change in step.changes)
    ]
    checks.update_checks(edited)


def _keep_keys(steps: list[tuple[Step, Check]]) -> None:
    """Let checks that were found by their names keep the keys from now on."""
    found = [check for step, check in steps if check.key != step.key]
    for step, check in steps:
        check.key = step.key
    with keys_kept():  # rival: who gives another check one of these keys
        Check.objects.bulk_update(found, ["key"], batch_size=500)


def _redrawn(plan: Plan) -> Iterator[tuple[Step, tuple[str, ...]]]:
    """Return the steps whose dependencies are drawn anew, and what they depend on."""
    for step in plan.checks:
        wanted = step.entry.depends_on if step.entry else None
        stood = _with_agents(step.standing.depends_on, step.standing) if step.standing else ()
        if wanted is not None and wanted != stood:
            yield step, wanted


def _rest_or_go_on(plan: Plan, rows: Mapping[UUID, Check], made: Mapping[str, Check]) -> None:
    resting: list[Check] = []
    going_on: list[Check] = []
    for step in plan.checks:
        check = rows.get(step.standing.id) if step.standing else made.get(step.key)
        wants, stood = step.entry and step.entry.is_paused, bool(step.standing and step.standing.is_paused)
        if check and wants is not None and wants != stood:
            (resting if wants else going_on).append(check)
    checks.pause_checks(resting)
    checks.resume_checks(going_on)


def _wait_for_turn() -> None:
    """Rival: another document applied to the same tenant, which would plan against checks that we are about to change."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"configuration:{current_tenant_id()}"]
        )
