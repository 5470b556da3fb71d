"""Outages follow from flips: opening, changing and resolving them.

An open outage ends when its check is up or paused. While nothing is measured, and during maintenance, nobody knows whether
it goes on; it stays open, its timeline says so, and the next thing that is seen decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from apps.checks.enums import State
from apps.checks.models import Check, Flip
from apps.core.postgres.inserting import insert_rows
from apps.core.tenancy import current_tenant_id
from apps.events.domain.outbox import emit_many
from apps.incidents.enums import EntryKind, Severity
from apps.incidents.events import OutageChanged, OutageEvent, OutageOpened, OutageResolved
from apps.incidents.models import Outage, OutageEntry

UNWELL = {State.DOWN: Severity.DOWN, State.DEGRADED: Severity.DEGRADED}
OUT_OF_SIGHT = {
    State.NEW: EntryKind.UNSEEN,
    State.UNKNOWN: EntryKind.UNSEEN,
    State.MAINTENANCE: EntryKind.IN_MAINTENANCE,
}
# What of an outage a later flip may change.
CHANGING = ("severity", "latest_severity", "ended_at", "last_flip", "error_code", "error_values")


# Those with an open outage or with a flip to be unwell that nobody has accounted for. No lock is needed to pass the others
# over: whoever opens an outage for a flip that we cannot see has an event of that flip's own, and what we see is all before.
CONCERNED = """
SELECT watched.id FROM unnest(%s::uuid[]) AS watched (id) LEFT JOIN LATERAL (
    SELECT last_flip.sequence, outage.ended_at IS NULL AS is_open
    FROM incidents_outage AS outage JOIN checks_flip AS last_flip ON last_flip.id = outage.last_flip_id
    WHERE outage.check_id = watched.id ORDER BY last_flip.sequence DESC LIMIT 1
) AS known ON true
WHERE EXISTS (
    SELECT FROM checks_flip AS news
    WHERE news.check_id = watched.id AND news.sequence > coalesce(known.sequence, 0)
      AND (known.is_open OR news.after = ANY(%s))
)
"""


def concerned_by_flips(check_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the checks whose flips since make or change an outage: of thousands that came up, mostly none."""
    if not check_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(CONCERNED, [list(check_ids), list(UNWELL)])
        return {check_id for (check_id,) in cursor.fetchall()}


@transaction.atomic(savepoint=False)
def account_for_flips(check_ids: Collection[UUID]) -> None:
    """Bring the checks' outages in line with their flips, in their order, from the last one accounted for.

    Flips reach us in any order and more than once. Locking the checks (in one order, so that nobody dies) makes rivals take
    turns, and reading all that is new makes the order in which they come irrelevant. The weak lock lets others write rows
    that refer to the checks meanwhile. Deleted checks are passed over.
    """
    if not check_ids:
        return
    locked = Check.objects.select_for_update(no_key=True).filter(id__in=check_ids).order_by("id")
    ids = list(locked.values_list("id", flat=True))
    if not ids:
        return
    known = Outage.objects.filter(watched__in=ids).order_by("watched", "-last_flip__sequence").distinct("watched")
    outages = {outage.watched_id: outage for outage in known.select_related("last_flip")}
    ledger = Ledger()
    for flip in _told(_news(ids, outages)):
        outage = outages.get(flip.watched_id)
        if after := _account(ledger, outage if outage and outage.is_open else None, flip):
            outages[flip.watched_id] = after
    ledger.write()


def _news(check_ids: Sequence[UUID], outages: Mapping[UUID, Outage]) -> list[Flip]:
    """Return the checks' flips that are not accounted for, in their order."""
    fresh = Q(watched__in=[check_id for check_id in check_ids if check_id not in outages])
    for check_id, outage in outages.items():
        fresh |= Q(watched=check_id, sequence__gt=outage.last_flip.sequence)
    return list(Flip.objects.filter(fresh).order_by("sequence"))


def _told(flips: Sequence[Flip]) -> list[Flip]:
    """Leave out what lasted no time, since maintenance had begun before anybody knew: it is no outage."""
    following: dict[UUID, Flip] = {}
    told: list[Flip] = []
    for flip in reversed(flips):
        then = following.get(flip.watched_id)
        if then and then.after == State.MAINTENANCE and then.at <= flip.at and flip.after in UNWELL:
            continue  # what came before it is followed by the maintenance, too
        told.append(flip)
        following[flip.watched_id] = flip
    return told[::-1]


@dataclass(slots=True)
class Ledger:
    """What follows from flips, written at once at the end."""

    opened: dict[UUID, Outage] = field(default_factory=dict)
    changed: dict[UUID, Outage] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    news: list[OutageEvent] = field(default_factory=list)

    def write(self) -> None:
        """Keep all of it, in the caller's transaction."""
        if self.changed:  # first: one that ends makes room for the next of its check
            # Rivals: rounds of alerts, which lock several in the order of their ids too.
            in_order = Outage.objects.filter(id__in=self.changed).select_for_update(no_key=True).order_by("id")
            list(in_order.values_list("id"))
            Outage.objects.bulk_update(self.changed.values(), CHANGING)
        Outage.objects.bulk_create(self.opened.values())
        insert_rows(OutageEntry, self.entries)
        emit_many(self.news)


def _account(ledger: Ledger, outage: Outage | None, flip: Flip) -> Outage | None:
    severity = UNWELL.get(State(flip.after))
    if outage is None:
        return _open_outage(ledger, flip, severity) if severity else None
    outage.last_flip = flip
    if outage.id not in ledger.opened:
        ledger.changed[outage.id] = outage
    if severity:
        _change_outage(ledger, outage, flip, severity)
    elif flip.after in OUT_OF_SIGHT:
        _keep_outage(ledger, outage, flip, OUT_OF_SIGHT[State(flip.after)])
    else:
        _resolve_outage(ledger, outage, flip)
    return outage


def _open_outage(ledger: Ledger, flip: Flip, severity: Severity) -> Outage:
    outage: Outage = Outage(
        watched_id=flip.watched_id,
        severity=severity,
        latest_severity=severity,
        started_at=flip.at,
        opened_by=flip,
        last_flip=flip,
        error_code=flip.error_code,
        error_values=flip.error_values,
    )
    ledger.opened[outage.id] = outage
    _tell(ledger, outage, flip, EntryKind.OPENED, OutageOpened)
    return outage


def _change_outage(ledger: Ledger, outage: Outage, flip: Flip, severity: Severity) -> None:
    before, outage.latest_severity = outage.latest_severity, severity
    if severity == Severity.DOWN:
        outage.severity, outage.error_code, outage.error_values = severity, flip.error_code, flip.error_values
    if before == severity:
        _keep_outage(ledger, outage, flip, EntryKind.SEEN_AGAIN)
    else:
        _keep_outage(ledger, outage, flip, EntryKind.WORSENED if severity == Severity.DOWN else EntryKind.IMPROVED)


def _keep_outage(ledger: Ledger, outage: Outage, flip: Flip, kind: EntryKind) -> None:
    """Go on with an open outage: those who watch it look again, whatever changed."""
    _tell(ledger, outage, flip, kind, OutageChanged)


def _resolve_outage(ledger: Ledger, outage: Outage, flip: Flip) -> None:
    outage.ended_at = max(flip.at, outage.started_at)
    kind = EntryKind.RESOLVED if flip.after == State.UP else EntryKind.LOST_SIGHT
    _tell(ledger, outage, flip, kind, OutageResolved)


def _tell(ledger: Ledger, outage: Outage, flip: Flip, kind: EntryKind, event: type[OutageEvent]) -> None:
    values = {"error_code": flip.error_code, "error_values": flip.error_values} if flip.error_code else {}
    at = max(flip.at, outage.started_at)
    ledger.entries.append({"outage_id": outage.id, "at": at, "kind": kind, "values": values})
    ledger.news.append(event(tenant_id=current_tenant_id(), check_id=outage.watched_id, outage_id=outage.id))
