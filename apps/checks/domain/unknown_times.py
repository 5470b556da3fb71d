"""Times that flips call unknown: which they are, and what is known of them by now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from apps.checks.domain.hindsight import Piece, Rules
from apps.checks.enums import State
from apps.checks.models import Hindsight
from apps.core.ids import uuid7

# An unknown time may be months long: no more of it is judged anew than what late results may change.
REACHES_BACK = timedelta(hours=1)

FlipRow = tuple[datetime, str, str]  # when, before, after

# Each check's flips from the one that began the time, in their order.
FLIPS = """
SELECT flip.check_id, flip.at, flip.before, flip.after
FROM unnest(%s::uuid[], %s::timestamptz[]) AS noted (check_id, since_at)
CROSS JOIN LATERAL (
    SELECT coalesce(max(at), '-infinity') AS at FROM checks_flip WHERE check_id = noted.check_id AND at <= noted.since_at
) AS earlier
JOIN checks_flip AS flip ON flip.check_id = noted.check_id AND flip.at >= earlier.at
ORDER BY flip.check_id, flip.sequence
"""
SPANS = "unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS span (check_id, since_at, until_at)"
FORGET = f"""
DELETE FROM checks_hindsight AS known USING {SPANS}
WHERE known.check_id = span.check_id AND known.since_at >= span.since_at AND known.since_at < span.until_at
"""  # noqa: S608 - constants of this module alone
CUT = f"""
UPDATE checks_hindsight AS known SET until_at = span.since_at FROM {SPANS}
WHERE known.check_id = span.check_id AND known.since_at < span.since_at AND known.until_at > span.since_at
"""  # noqa: S608 - constants of this module alone


@dataclass(frozen=True, slots=True)
class Noted:
    """A check of which something was learned, for moments from ``since_at`` to ``until_at``."""

    check_id: UUID
    tenant_id: UUID
    since_at: datetime
    until_at: datetime
    rules: Rules


@dataclass(frozen=True, slots=True)
class UnknownTime:
    """A time that flips call unknown, as far as it is judged anew, and the states on either side where they are near."""

    noted: Noted
    since: datetime
    until: datetime | None
    before: str = ""
    after: str = ""


def flips_from(cursor: Any, check_ids: Sequence[UUID], sinces: Sequence[datetime]) -> dict[UUID, list[FlipRow]]:
    """Return each check's flips in their order, from the one that made it what it was then; none where it never changed."""
    cursor.execute(FLIPS, [list(check_ids), list(sinces)])
    return {check_id: [row[1:] for row in rows] for check_id, rows in groupby(cursor.fetchall(), key=itemgetter(0))}


def unknown_times(noted: Noted, flips: Sequence[FlipRow]) -> list[UnknownTime]:
    """Return the unknown times that what was learned reaches into. No flip comes before the one before it: clocks step
    back."""
    found: list[UnknownTime] = []
    reach = noted.since_at - max(REACHES_BACK, noted.rules.good_for)
    at = flips[0][0]
    for place, (moment, before, after) in enumerate(flips):
        at = max(at, moment)
        if after != State.UNKNOWN or at >= noted.until_at + noted.rules.good_for:
            continue
        closing = flips[place + 1] if place + 1 < len(flips) else None
        until = max(at, closing[0]) if closing else None
        if until is None or until > max(at, noted.since_at):
            is_whole = at >= reach
            found.append(
                UnknownTime(noted, max(at, reach), until, before if is_whole else "", closing[2] if closing else "")
            )
    return found


def forget(cursor: Any, unknown: Sequence[UnknownTime], ends: Sequence[datetime]) -> None:
    """Drop what was known of these times."""
    check_ids, begins = [part.noted.check_id for part in unknown], [part.since for part in unknown]
    cursor.execute(FORGET, [check_ids, begins, list(ends)])
    cursor.execute(CUT, [check_ids, begins, list(ends)])


def rows_of(part: UnknownTime, pieces: Iterable[Piece]) -> list[Hindsight]:
    """Return what is known of that time as rows to be kept."""
    return [
        Hindsight(
            id=uuid7(),
            tenant_id=part.noted.tenant_id,
            watched_id=part.noted.check_id,
            since_at=piece.since,
            until_at=piece.until,
            state=piece.state,
        )
        for piece in pieces
    ]
