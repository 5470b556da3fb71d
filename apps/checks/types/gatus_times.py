"""Points in time as Gatus' ``age()`` reads them, by layouts of Go's (https://pkg.go.dev/time#Layout).

A layout is how one certain moment would be written: Monday, 2 January 2006, 15:04:05, in a zone seven hours west.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from apps.core.clock import now

MAX_LENGTH = 100  # no time is written longer
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONG_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
# As soon as there are seconds, there may be a fraction of them, whether or not the layout says so.
FRACTION = r"(?:[.,](?P<fraction>\d{1,9})\d*)?"
# What a layout's parts stand for; of those that fit, the first counts. Names of zones mean nothing to Go but UTC. Each has a
# name, so that none stands twice: many in a row could divide a text in more ways than could be tried.
PARTS: Mapping[str, str] = {
    "January": f"(?P<month_name>(?i:{LONG_MONTHS}))",
    "Jan": f"(?P<month_name>(?i:{'|'.join(MONTHS)}))",
    "Monday": "(?P<weekday>[A-Za-z]{6,9})",
    "Mon": "(?P<weekday>[A-Za-z]{3})",
    "MST": "(?P<zone_name>[A-Z]{3,5})",
    "Z07:00": r"(?P<zone>Z|[+-]\d\d:\d\d)",
    "Z0700": r"(?P<zone>Z|[+-]\d{4})",
    "Z07": r"(?P<zone>Z|[+-]\d\d)",
    "-07:00": r"(?P<zone>[+-]\d\d:\d\d)",
    "-0700": r"(?P<zone>[+-]\d{4})",
    "-07": r"(?P<zone>[+-]\d\d)",
    "2006": r"(?P<year>\d{4})",
    "06": r"(?P<short_year>\d\d)",
    "01": r"(?P<month>\d\d)",
    "02": r"(?P<day>\d\d)",
    "03": r"(?P<hour>\d\d)",
    "04": r"(?P<minute>\d\d)",
    "05": rf"(?P<second>\d\d){FRACTION}",
    "15": r"(?P<hour>\d\d?)",
    "_2": r" ?(?P<day>\d\d?)",
    "1": r"(?P<month>\d\d?)",
    "2": r"(?P<day>\d\d?)",
    "3": r"(?P<hour>\d\d?)",
    "4": r"(?P<minute>\d\d?)",
    "5": rf"(?P<second>\d\d?){FRACTION}",
    "PM": "(?P<half>AM|PM)",
    "pm": "(?P<half>am|pm)",
}
PART = re.compile("|".join(map(re.escape, PARTS)) + "|.", re.DOTALL)
LAYOUT_FRACTION = re.compile(r"(?<=5)[.,](?:0+|9+)(?!\d)")
NEEDED = (("year", "short_year"), ("month", "month_name"), ("day",))
# Those of HTTP, and RFC 3339's.
USUAL = (
    "Mon, 02 Jan 2006 15:04:05 GMT",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon Jan _2 15:04:05 2006",
    "2006-01-02T15:04:05Z07:00",
)
EPOCH = re.compile(r"\d+(?:\.\d*)?(?:[eE]\+?\d{1,2})?")
MILLISECONDS_FROM = 1e12  # as seconds, in the year 33658; as milliseconds, in 2001


def is_layout(layout: str) -> bool:
    """Tell whether a layout says where year, month and day of a time stand."""
    pattern = _pattern(layout)
    return pattern is not None and all(any(name in pattern.groupindex for name in names) for names in NEEDED)


def age_ms(text: str, layout: str = "") -> int | None:
    """Return how many milliseconds ago the time was that ``text`` tells, None where it tells none.

    Without a ``layout`` it may be a date as HTTP writes it, RFC 3339, or Unix time in seconds or milliseconds. A time
    without a zone is in UTC; one to come is less than nothing ago.
    """
    told = text.strip().strip('"')
    if len(told) > MAX_LENGTH:
        return None
    try:
        found = _read(told, layout) if layout else _usual(told)
    except (ValueError, OverflowError, OSError):  # a day, or a year, that no calendar has
        return None
    return None if found is None else int((now() - found) / timedelta(milliseconds=1))


def _usual(told: str) -> datetime | None:
    if EPOCH.fullmatch(told):
        number = float(told)
        seconds = number / 1_000 if number >= MILLISECONDS_FROM else number
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    return next((found for layout in USUAL if (found := _read(told, layout))), None)


def _read(told: str, layout: str) -> datetime | None:
    pattern = _pattern(layout)
    match = pattern.fullmatch(told) if pattern else None
    if match is None:
        return None
    parts = {name: value for name, value in match.groupdict().items() if value is not None}
    local = datetime(
        _year(parts),
        MONTHS.index(parts["month_name"][:3].lower()) + 1 if "month_name" in parts else int(parts["month"]),
        int(parts["day"]),
        _hour(int(parts.get("hour", 0)), parts.get("half", "").upper()),
        int(parts.get("minute", 0)),
        int(parts.get("second", 0)),
        int(parts.get("fraction", "").ljust(6, "0")[:6]),
        tzinfo=UTC,
    )
    return local - _offset(parts.get("zone", "Z"))


@lru_cache(maxsize=256)
def _pattern(layout: str) -> re.Pattern[str] | None:
    """Return what reads times of a layout; None where a part stands in it twice."""
    parts = PART.findall(LAYOUT_FRACTION.sub("", layout))
    try:
        return re.compile("".join(PARTS.get(part) or re.escape(part) for part in parts), re.ASCII)
    except re.error:
        return None


def _year(parts: Mapping[str, str]) -> int:
    if "year" in parts:
        return int(parts["year"])
    short = int(parts["short_year"])
    return short + (1900 if short >= 69 else 2000)  # as Go, and POSIX


def _hour(hour: int, half: str) -> int:
    if half == "PM" and hour < 12:
        return hour + 12
    return 0 if half == "AM" and hour == 12 else hour


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset
