"""Holding a configuration document, or another product's export, against the tenant's plan before anything changes."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.checks.domain.allowance import (
    allowed_interval,
    count_of,
    is_in_plan,
    misfits,
    room_for_checks,
    too_many,
    too_many_running,
)
from apps.checks.domain.checks import Timing
from apps.checks.domain.configuration import DocumentErrors
from apps.checks.domain.document_plan import Step
from apps.checks.domain.document_steps import Action
from apps.checks.types.registry import CHECK_TYPES


def with_usual_intervals(document: Any) -> Any:
    """Return the document in which probed checks that give no interval have the shortest of the plan, where that is longer
    than the usual one."""
    usual = Timing().interval_seconds
    seconds = allowed_interval(usual)
    if seconds == usual or not isinstance(document, Mapping) or not isinstance(document.get("checks"), list):
        return document
    return {**document, "checks": [_paced(check, seconds) for check in document["checks"]]}


def _paced(check: Any, seconds: int) -> Any:
    if not isinstance(check, Mapping) or "interval_seconds" in check or not _is_probed(check.get("kind")):
        return check
    return {**check, "interval_seconds": seconds}


def _is_probed(kind: Any) -> bool:
    return isinstance(kind, str) and kind in CHECK_TYPES and CHECK_TYPES.get(kind).is_probed


def refuse_beyond_plan(steps: Iterable[Step]) -> None:
    """Raise `DocumentErrors` with everything that the tenant's plan does not allow: what a check wants, at its field, and how
    many there would be too many. What goes by the same document makes room."""
    errors: dict[str, list[str | Promise]] = {}
    found = list(steps)
    for step in found:
        if step.entry and step.action in (Action.CREATE, Action.UPDATE):
            was = step.standing.timing if step.standing else None
            for misfit in misfits(step.kind, step.entry.timing, was=was):
                errors.setdefault(f"{step.entry.path}.{misfit.field}", []).append(str(misfit))
    if text := _too_many(found):
        errors["checks"] = [text]
    if errors:
        raise DocumentErrors(errors)


def _too_many(steps: list[Step]) -> str:
    """Return that the checks do not fit, or nothing. Only what comes or goes on again can be too much."""
    new = count_of(step.kind for step in steps if step.action == Action.CREATE)
    if new:
        gone = count_of(step.kind for step in steps if step.action == Action.PRUNE)
        left = room_for_checks()
        return "" if left is None or new - gone <= left else str(too_many(more=new - gone, left=left))
    resumed = count_of(step.kind for step in steps if _is_resumed(step))
    stopped = count_of(step.kind for step in steps if step.action == Action.PRUNE and not _is_paused(step))
    return str(too_many_running(more=resumed - stopped) or "") if resumed else ""


def _is_paused(step: Step) -> bool:
    return step.standing is not None and step.standing.is_paused


def _is_resumed(step: Step) -> bool:
    return _is_paused(step) and step.entry is not None and step.entry.is_paused is False


class Allowance:
    """What of an export fits the tenant's plan, asked check by check."""

    def __init__(self) -> None:
        self._left = room_for_checks()

    def refusal(self, check: Mapping[str, Any]) -> str:
        """Return why the plan has no place for one more such check, or nothing."""
        if not is_in_plan(check["kind"]):
            return _("Checks of this kind are not in your plan.")
        if count_of([check["kind"]]) and self._left is not None and self._left < 1:
            return _("Your plan allows no more checks. See “Plan and usage” in the settings.")
        return ""

    def take(self, check: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """Use up a place; return the check as the plan allows it, and what had to be changed, or nothing."""
        if self._left is not None:
            self._left -= count_of([check["kind"]])
        wanted = check.get("interval_seconds")
        if not isinstance(wanted, int) or not _is_probed(check["kind"]):
            return check, ""
        seconds = allowed_interval(wanted)
        if seconds == wanted:
            return check, ""
        text = _("It is checked every %(seconds)s seconds instead of %(wanted)s: your plan allows no shorter interval.")
        return {**check, "interval_seconds": seconds}, text % {"seconds": seconds, "wanted": wanted}
