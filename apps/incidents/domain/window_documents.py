"""Maintenance windows as a configuration document lists them, under ``maintenance``."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.configuration import DocumentErrors
from apps.checks.domain.document_keys import BAD_KEY, default_key, is_key, with_keys
from apps.checks.domain.document_steps import Action, Change, SectionStep
from apps.checks.domain.tags import clean_tags
from apps.checks.models import Check
from apps.checks.types.schedules import BadSchedule, check_zone
from apps.core import clock
from apps.incidents.domain.maintenance import (
    BadWindow,
    delete_window,
    find_windows,
    keep_window,
    validate_window,
)
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow
from apps.incidents.permissions import PLAN_MAINTENANCE
from apps.tenants.permissions import Permission

NAME = "maintenance"
LABEL = _("Maintenance")
MAX_WINDOWS = 200
MAX_CHECKS = 1_000
MAX_MINUTES = 7 * 24 * 60
DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "starts_at": None,
    "repeats_until_at": None,
    "weekdays": [],
    "time_of_day": None,
    "cron": "",
    "covers_all": False,
    "tags": [],
    "checks": [],
    "is_public": True,
}
FIELDS = ("name", "repeat", "time_zone", "duration_minutes", *DEFAULTS)
Errors = dict[str, list[str | Promise]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A window of a document: its fields in plain values, all of them, each in the one way that it is compared in."""

    path: str
    key: str
    plain: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """A window as it stands."""

    row: MaintenanceWindow
    key: str
    plain: Mapping[str, Any]


class MaintenanceSection:
    """The section: what is still to come, each by its key."""

    permission: ClassVar[Permission] = PLAN_MAINTENANCE

    def export(self, *, keys: Mapping[UUID, str]) -> list[dict[str, Any]]:
        """Return the windows that have something to come and cover something."""
        found = [one for one in _standing(keys) if one.row.next_edge_at and _covers(one.plain)]
        return [
            {"key": one.key, **{name: one.plain[name] for name in FIELDS if one.plain[name] != DEFAULTS.get(name, ...)}}
            for one in sorted(found, key=lambda one: one.row.created_at)
        ]

    def plan(
        self, given: Sequence[Any], *, label: str, prune_label: str, keys: Mapping[UUID, str], known: Collection[str]
    ) -> list[SectionStep]:
        """Return what is to be done; raise `DocumentErrors` with everything that is wrong."""
        wanted = _read(given, known)
        standing = {one.key: one for one in _standing(keys)}
        steps = [_step(one, standing.pop(one.key, None), label) for one in wanted]
        goners = [one for one in standing.values() if prune_label and one.row.managed_by == prune_label]
        return steps + [_named(Action.PRUNE, one.key, one.plain, standing=one) for one in goners]

    def carry_out(self, steps: Sequence[SectionStep], *, label: str, ids: Mapping[str, UUID]) -> None:
        """Do it; checks that a window names are there by now."""
        for step in steps:
            if step.action == Action.PRUNE:
                delete_window(step.standing.row)
                continue
            row = _kept(step, ids)
            kept = {"key": step.key, **({"managed_by": label} if label else {})}
            MaintenanceWindow.objects.filter(id=row.id).update(**kept)


def _kept(step: SectionStep, ids: Mapping[str, UUID]) -> MaintenanceWindow:
    """Return the step's window with the settings it wants."""
    row: MaintenanceWindow | None = step.standing.row if step.standing else None
    if row and all(change.field == "managedBy" for change in step.changes):
        return row
    wanted = {ids[key] for key in step.wanted.plain["checks"] if key in ids}
    # What no document names stays covered: the checks that tell of agents' silence.
    unnamed = {check.id for check in row.checks.all()} - set(ids.values()) if row else set()
    named = Check.objects.filter(id__in=wanted | unnamed)
    return keep_window(row, _settings(step.wanted.plain, list(named)), actor=None)


def _covers(plain: Mapping[str, Any]) -> bool:
    return bool(plain["covers_all"] or plain["tags"] or plain["checks"])


def _step(wanted: _Wanted, standing: _Standing | None, label: str) -> SectionStep:
    if standing is None:
        return _named(Action.CREATE, wanted.key, wanted.plain, wanted=wanted)
    changes = [
        Change(name, standing.plain[name], wanted.plain[name])
        for name in FIELDS
        if standing.plain[name] != wanted.plain[name]
    ]
    if label and label != standing.row.managed_by:
        changes.append(Change("managedBy", standing.row.managed_by, label))
    action = Action.UPDATE if changes else Action.UNCHANGED
    return _named(action, wanted.key, wanted.plain, wanted=wanted, standing=standing, changes=tuple(changes))


def _named(action: Action, key: str, plain: Mapping[str, Any], **more: Any) -> SectionStep:
    covered = "*" if plain["covers_all"] else ", ".join([*plain["checks"], *plain["tags"]])
    return SectionStep(
        action=action, key=key, name=plain["name"], kind=NAME, kind_label=LABEL, target=covered[:200], **more
    )


# --- Rows ---------------------------------------------------------------------------------------------------------------


def _standing(keys: Mapping[UUID, str]) -> list[_Standing]:
    rows = list(find_windows().order_by("created_at", "id"))
    of_rows = with_keys((row.name, row.key) for row in rows)
    return [_Standing(row=row, key=key, plain=_plain(row, keys)) for row, key in zip(rows, of_rows, strict=True)]


def _plain(row: MaintenanceWindow, keys: Mapping[UUID, str]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in FIELDS if hasattr(row, name)},
        "repeat": str(row.repeat),
        "duration_minutes": int(row.duration.total_seconds() // 60),
        "starts_at": _written(row.starts_at, row.time_zone),
        "repeats_until_at": _written(row.repeats_until_at, row.time_zone),
        "time_of_day": f"{row.time_of_day:%H:%M:%S}" if row.time_of_day else None,
        "tags": sorted(row.tags),
        "checks": sorted(keys[check.id] for check in row.checks.all() if check.id in keys),
    }


def _written(at: datetime | None, zone: str) -> str | None:
    return at.astimezone(ZoneInfo(zone)).isoformat() if at else None


def _settings(plain: Mapping[str, Any], checks: Sequence[Check]) -> WindowSettings:
    """Return a window's settings; ``plain`` was judged."""
    given = {name: plain[name] for name in FIELDS if name != "duration_minutes"}
    for name in ("starts_at", "repeats_until_at"):
        given[name] = datetime.fromisoformat(plain[name]) if plain[name] else None
    given["time_of_day"] = time.fromisoformat(plain["time_of_day"]) if plain["time_of_day"] else None
    duration = timedelta(minutes=plain["duration_minutes"])
    return WindowSettings(**{**given, "repeat": Repeat(plain["repeat"]), "duration": duration, "checks": checks})


# --- Reading ------------------------------------------------------------------------------------------------------------


def _read(given: Sequence[Any], known: Collection[str]) -> list[_Wanted]:
    errors: Errors = {}
    if len(given) > MAX_WINDOWS:
        raise DocumentErrors({NAME: [_("A document holds at most 200 maintenance windows; divide it.")]})
    found: dict[str, _Wanted] = {}
    for place, value in enumerate(given):
        path = f"{NAME}[{place}]"
        one = _read_one(value, path, known, errors)
        if one and one.key in found:
            errors[f"{path}.key"] = [
                _("%(path)s has the key “%(key)s” too; give each a key of its own.")
                % {"path": found[one.key].path, "key": one.key}
            ]
        elif one:
            found[one.key] = one
    if errors:
        raise DocumentErrors(errors)
    return list(found.values())


def _read_one(value: Any, path: str, known: Collection[str], errors: Errors) -> _Wanted | None:
    if not isinstance(value, Mapping):
        errors[path] = [_("Give a mapping with name, repeat, time_zone and duration_minutes.")]
        return None
    own: Errors = dict(_unknown(value, path))
    plain: dict[str, Any] = {}
    for name in FIELDS:
        try:
            plain[name] = READERS[name](value[name]) if name in value else _default(name)
        except ValidationError as error:
            own[f"{path}.{name}"] = list(error.messages)
    key = value.get("key", default_key(str(value.get("name", ""))))
    if not is_key(key):
        own[f"{path}.key"] = [BAD_KEY]
    if missing := [check for check in plain.get("checks", ()) if check not in known]:
        own[f"{path}.checks"] = [_("There is no check with the key “%(key)s”.") % {"key": missing[0][:100]}]
    if not own:
        own = _judged(plain, path)
    errors.update(own)
    return None if own else _Wanted(path=path, key=key, plain=plain)


def _unknown(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, list[str | Promise]]]:
    known = ("key", *FIELDS)
    for name in value:
        if name not in known:
            text = _("There is no such field here; there are: %(names)s.") % {"names": ", ".join(sorted(known))}
            yield f"{path}.{str(name)[:100]}", [text]


def _default(name: str) -> Any:
    if name not in DEFAULTS:
        raise ValidationError(_("This is missing."))
    return DEFAULTS[name]


def _judged(plain: dict[str, Any], path: str) -> Errors:
    """Put instants into the window's zone, and return what nobody could keep."""
    try:
        check_zone(plain["time_zone"])
    except BadSchedule:
        return {f"{path}.time_zone": [_("This is no time zone, such as Europe/Berlin.")]}
    zone = ZoneInfo(plain["time_zone"])
    for name in ("starts_at", "repeats_until_at"):
        if plain[name]:
            at = datetime.fromisoformat(plain[name])
            plain[name] = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(zone).isoformat()
    try:
        # Checks are named by keys, some of which are still to come: that there are some is enough here.
        validate_window(_settings({**plain, "covers_all": _covers(plain)}, ()))
    except BadWindow as refusal:
        field = {"duration": "duration_minutes"}.get(refusal.field, refusal.field)
        return {f"{path}.{field}": [str(refusal)]}
    return {}


def _text(limit: int, *, is_required: bool = False) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or (is_required and not value.strip()):
            raise ValidationError(_("Give a text."))
        if len(value) > limit:
            raise ValidationError(_("Give at most %(limit)s characters.") % {"limit": limit})
        return value

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValidationError(_("Give true or false."))
    return value


def _minutes(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_MINUTES:
        raise ValidationError(_("Give a whole number from 1 to 10080."))
    return value


def _repeat(value: Any) -> str:
    if value not in Repeat.values:
        raise ValidationError(_("Give one of: %(kinds)s.") % {"kinds": ", ".join(Repeat.values)})
    return str(value)


def _instant(value: Any) -> str | None:
    try:
        at = None if value is None else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValidationError(_("Give a date and a time, such as 2026-03-01T02:00.")) from error
    if at and at.year not in clock.YEARS:
        raise ValidationError(_("Choose a time between the years 1970 and 2200."))
    return at.isoformat() if at else None


def _time(value: Any) -> str | None:
    try:
        return None if value is None else f"{time.fromisoformat(value):%H:%M:%S}"
    except (TypeError, ValueError) as error:
        raise ValidationError(_("Give a time of the day, such as 02:30.")) from error


def _weekdays(value: Any) -> list[int]:
    if not isinstance(value, list) or any(isinstance(day, bool) or day not in range(7) for day in value):
        raise ValidationError(_("Give a list of days from 0, which is Monday, to 6."))
    return sorted(set(value))


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value) or len(value) > MAX_CHECKS:
        raise ValidationError(_("Give a list of texts."))
    return sorted(set(value))


READERS: Mapping[str, Callable[[Any], Any]] = {
    "name": _text(150, is_required=True),
    "description": _text(2_000),
    "repeat": _repeat,
    "time_zone": _text(64, is_required=True),
    "duration_minutes": _minutes,
    "starts_at": _instant,
    "repeats_until_at": _instant,
    "weekdays": _weekdays,
    "time_of_day": _time,
    "cron": _text(100),
    "covers_all": _flag,
    "tags": lambda value: sorted(clean_tags(_texts(value))),
    "checks": _texts,
    "is_public": _flag,
}
