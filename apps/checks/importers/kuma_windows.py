"""Uptime Kuma's maintenance. What its strategies do was read in its server/model/maintenance.js."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.kuma_file import KumaFile, Row, object_of
from apps.checks.importers.windows import UNREAD, Schedule, Unsaid, Window, weekly, whole_minutes
from apps.checks.importers.wish import Gathering, integer, plain_id
from apps.checks.types.schedules import BadSchedule, check_zone
from apps.core import clock

SERVERS = ("", "SAME_AS_SERVER")
TIME = re.compile(r"(\d{1,2}):(\d\d)(?::00)?")
# What both read alike: names, "L", "W" and "#" they do not, nor days of the month and of the week at once.
CRON = re.compile(r"[\d*/,-]+ [\d*/,-]+ (\* [\d*/,-]+ [\d*/,-]+|[\d*/,-]+ [\d*/,-]+ \*)")
LAST_DAY = "lastDay1"  # "lastDay2" and so on have no effect there
MOST_LEVELS = 100  # of groups within groups
SERVERS_ZONE = _(
    "It keeps to the time zone of its server, by its settings %(zone)s: mend the window if the server's environment says another."
)


def plan_windows(file: KumaFile, place: str, keys: Iterable[tuple[Any, str]], gathering: Gathering) -> None:
    """Plan a file's maintenance; ``keys`` are those of the checks that came of it, with the ids of their monitors."""
    below = _below(file, keys)
    for number, row in enumerate(file.windows):
        where, title = f"{place}maintenance[{number}]", str(row.get("title") or row.get("id"))[:150]
        try:
            schedule = _schedule_of(row, file.time_zone)
        except Unsaid as unsaid:
            gathering.leave(where, title, unsaid)
            continue
        linked = dict.fromkeys(plain_id(monitor) for monitor in row.get("monitors") or ())
        most = 1 if gathering.is_full_of_windows else None  # one tells that there is something to cover
        checks = list(dict.fromkeys(islice((key for monitor in linked for key in below.get(monitor, ())), most)))
        gathering.plan(
            Window(
                where=where,
                owner=title,
                name=title,
                schedule=schedule,
                checks=checks,
                source_id=str(plain_id(row.get("id")) or ""),
                description=str(row.get("description") or "")[:2_000],
            )
        )
        if checks and str(row.get("timezone") or "") in SERVERS:
            gathering.lose(where, title, SERVERS_ZONE % {"zone": file.time_zone})


def _below(file: KumaFile, keys: Iterable[tuple[Any, str]]) -> Mapping[Any, list[str]]:
    """Return the checks that each monitor stands for: its own, and of a group those of its members."""
    parents = {plain_id(row.get("id")): plain_id(row.get("parent")) for row in file.rows}
    found: dict[Any, list[str]] = {}
    for monitor, key in keys:
        one = plain_id(monitor)
        passed: set[Any] = set()  # groups may be in one another
        while one is not None and one not in passed and len(passed) < MOST_LEVELS:
            passed.add(one)
            found.setdefault(one, []).append(key)
            one = parents.get(one)
    return found


def _schedule_of(row: Row, servers: str) -> Schedule:
    """Return when maintenance takes place; raise `Unsaid`."""
    make = STRATEGIES.get(str(row.get("strategy")))
    if make is None:
        raise Unsaid(
            _("nothing here is like its strategy “%(strategy)s”") % {"strategy": str(row.get("strategy"))[:60]}
        )
    return make(row, _zone_of(row, servers))


def _zone_of(row: Row, servers: str) -> ZoneInfo:
    given = str(row.get("timezone") or "")
    zone = servers if given in SERVERS else given
    if not zone:
        raise Unsaid(_("it keeps to the time zone of its server, which the export does not tell"))
    try:
        check_zone(zone)
    except BadSchedule as error:
        raise Unsaid(_("its time zone “%(zone)s” is not known here") % {"zone": zone[:60]}) from error
    return ZoneInfo(zone)


# --- Strategies ----------------------------------------------------------------------------------------------------------


def _manual(_row: Row, _zone: ZoneInfo) -> Schedule:
    raise Unsaid(_("somebody switches it on and off by hand"))


def _single(row: Row, zone: ZoneInfo) -> Schedule:
    begin, end = _date(row.get("start_date"), zone), _date(row.get("end_date"), zone)
    if begin is None or end is None:
        raise Unsaid(UNREAD)
    _refuse_past(end)
    minutes = whole_minutes((end.astimezone(UTC) - begin.astimezone(UTC)).total_seconds())
    return {"repeat": "once", "time_zone": zone.key, "starts_at": begin.isoformat(), "duration_minutes": minutes}


def _interval(row: Row, zone: ZoneInfo) -> Schedule:
    if integer(row.get("interval_day")) != 1:
        raise Unsaid(_("it takes place every %(count)s days") % {"count": str(row.get("interval_day"))[:10]})
    return _on_days(row, zone, range(7))


def _weekdays(row: Row, zone: ZoneInfo) -> Schedule:
    given = object_of(row.get("weekdays"))
    days = [integer(day) for day in given] if isinstance(given, list) else []
    if not days or not all(day in range(7) for day in days):
        raise Unsaid(UNREAD)
    return _on_days(row, zone, [(day - 1) % 7 for day in days if day is not None])  # there Sunday is 0


def _on_days(row: Row, zone: ZoneInfo, days: Iterable[int]) -> Schedule:
    hour, minute, minutes = _hours(row)
    return {
        **weekly(weekdays=days, time_of_day=f"{hour:02}:{minute:02}", minutes=minutes, time_zone=zone.key),
        **_limits(row, zone, hour, minute, minutes),
    }


def _days_of_month(row: Row, zone: ZoneInfo) -> Schedule:
    days = object_of(row.get("days_of_month"))
    if (
        not isinstance(days, list)
        or not days
        or not all(day == LAST_DAY or integer(day) in range(1, 32) for day in days)
    ):
        raise Unsaid(UNREAD)
    hour, minute, minutes = _hours(row)
    listed = ",".join("L" if day == LAST_DAY else str(integer(day)) for day in dict.fromkeys(days))
    return {
        **_by_cron(f"{minute} {hour} {listed} * *", zone, minutes),
        **_limits(row, zone, hour, minute, minutes),
    }


def _cron(row: Row, zone: ZoneInfo) -> Schedule:
    expression = " ".join(str(row.get("cron") or "").split())
    if not CRON.fullmatch(expression):
        raise Unsaid(_("its cron expression “%(cron)s” may mean something else here") % {"cron": expression[:60]})
    begin, end = _date(row.get("start_date"), zone), _date(row.get("end_date"), zone)
    if end:
        _refuse_past(end)
    if end or (begin and begin > clock.now()):
        raise Unsaid(_("it is limited by dates, which may cut one short"))
    return _by_cron(expression, zone, whole_minutes(integer(row.get("duration")) or 0))


STRATEGIES: Mapping[str, Callable[[Row, ZoneInfo], Schedule]] = {
    "manual": _manual,
    "single": _single,
    "recurring-interval": _interval,
    "recurring-weekday": _weekdays,
    "recurring-day-of-month": _days_of_month,
    "cron": _cron,
}


# --- Times ---------------------------------------------------------------------------------------------------------------


def _by_cron(expression: str, zone: ZoneInfo, minutes: int) -> Schedule:
    return {"repeat": "cron", "time_zone": zone.key, "cron": expression, "duration_minutes": minutes}


def _date(value: Any, zone: ZoneInfo) -> datetime | None:
    """Return a time on the zone's clock as an instant."""
    if not value:
        return None
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Unsaid(UNREAD) from error
    if at.tzinfo or at.year not in clock.YEARS:
        raise Unsaid(UNREAD)
    return at.replace(tzinfo=zone)


def _refuse_past(end: datetime) -> None:
    if end <= clock.now():
        raise Unsaid(_("it is over"))


def _hours(row: Row) -> tuple[int, int, int]:
    """Return the hour and the minute at which it begins, and how many minutes it lasts; an earlier end is the next day's."""
    begin, end = (TIME.fullmatch(str(row.get(name))) for name in ("start_time", "end_time"))
    if not begin or not end:
        raise Unsaid(UNREAD)
    (hour, minute), (last_hour, last_minute) = (map(int, found.groups()) for found in (begin, end))
    if max(hour, last_hour) > 23 or max(minute, last_minute) > 59:
        raise Unsaid(UNREAD)
    return hour, minute, whole_minutes(((last_hour - hour) * 3_600 + (last_minute - minute) * 60) % 86_400)


def _limits(row: Row, zone: ZoneInfo, hour: int, minute: int, minutes: int) -> Schedule:
    """Return from when on and until when it repeats; raise `Unsaid` where that may cut one short, which no window does."""
    begin, end = _date(row.get("start_date"), zone), _date(row.get("end_date"), zone)
    if end:
        _refuse_past(end)
    if begin and begin <= clock.now():
        begin = None
    for limit in filter(None, (begin, end)):
        for days in (0, 1):
            first = limit.replace(hour=hour, minute=minute, second=0) - timedelta(days=days)
            if first < limit < first + timedelta(minutes=minutes):
                raise Unsaid(_("it is limited by dates, which may cut one short"))
    return {
        **({"starts_at": begin.isoformat()} if begin else {}),
        **({"repeats_until_at": end.isoformat()} if end else {}),
    }
