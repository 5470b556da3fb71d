"""Outages follow from flips: opening, changing and resolving them.

An open outage ends when its check is up or paused. While nothing is measured, and during maintenance, nobody knows whether
it goes on; it stays open, its timeline says so, and the next thing that is seen decides.
"""

from django.db import transaction

from apps.checks.enums import State
from apps.checks.models import Check, Flip
from apps.core.tenancy import current_tenant_id
from apps.events.domain.outbox import emit
from apps.incidents.enums import EntryKind, Severity
from apps.incidents.events import OutageChanged, OutageOpened, OutageResolved
from apps.incidents.models import Outage, OutageEntry

UNWELL = {State.DOWN: Severity.DOWN, State.DEGRADED: Severity.DEGRADED}
OUT_OF_SIGHT = {
    State.NEW: EntryKind.UNSEEN,
    State.UNKNOWN: EntryKind.UNSEEN,
    State.MAINTENANCE: EntryKind.IN_MAINTENANCE,
}


@transaction.atomic
def account_for_flips(check: Check) -> None:
    """Bring a check's outages in line with its flips, in their order, from the last one accounted for.

    Flips reach us in any order and more than once. Locking the check makes rivals take turns, and reading all that is new
    makes the order in which they come irrelevant. The weak lock lets others write rows that refer to the check meanwhile.
    """
    Check.objects.select_for_update(no_key=True).get(id=check.id)
    known = Outage.objects.filter(watched=check).select_related("last_flip")
    outage = known.order_by("-last_flip__sequence").first()
    news = Flip.objects.filter(watched=check).order_by("sequence")
    if outage:
        news = news.filter(sequence__gt=outage.last_flip.sequence)
    for flip in news:
        outage = _account(check, outage if outage and outage.is_open else None, flip)


def _account(check: Check, outage: Outage | None, flip: Flip) -> Outage | None:
    severity = UNWELL.get(State(flip.after))
    if outage is None:
        return _open_outage(check, flip, severity) if severity else None
    outage.last_flip = flip
    if severity:
        _change_outage(outage, flip, severity)
    elif flip.after in OUT_OF_SIGHT:
        _keep_outage(outage, flip, OUT_OF_SIGHT[State(flip.after)])
    else:
        _resolve_outage(outage, flip)
    return outage


def _open_outage(check: Check, flip: Flip, severity: Severity) -> Outage:
    outage: Outage = Outage.objects.create(
        watched=check,
        severity=severity,
        latest_severity=severity,
        started_at=flip.at,
        opened_by=flip,
        last_flip=flip,
        error_code=flip.error_code,
        error_values=flip.error_values,
    )
    _tell(outage, flip, EntryKind.OPENED)
    emit(OutageOpened(tenant_id=current_tenant_id(), check_id=check.id, outage_id=outage.id))
    return outage


def _change_outage(outage: Outage, flip: Flip, severity: Severity) -> None:
    before, outage.latest_severity = outage.latest_severity, severity
    if severity == Severity.DOWN:
        outage.severity, outage.error_code, outage.error_values = severity, flip.error_code, flip.error_values
    if before == severity:
        _keep_outage(outage, flip, EntryKind.SEEN_AGAIN)
    else:
        _keep_outage(outage, flip, EntryKind.WORSENED if severity == Severity.DOWN else EntryKind.IMPROVED)


def _keep_outage(outage: Outage, flip: Flip, kind: EntryKind) -> None:
    """Go on with an open outage: those who watch it look again, whatever changed."""
    outage.save()
    _tell(outage, flip, kind)
    emit(OutageChanged(tenant_id=current_tenant_id(), check_id=outage.watched_id, outage_id=outage.id))


def _resolve_outage(outage: Outage, flip: Flip) -> None:
    outage.ended_at = max(flip.at, outage.started_at)
    outage.save()
    _tell(outage, flip, EntryKind.RESOLVED if flip.after == State.UP else EntryKind.LOST_SIGHT)
    emit(OutageResolved(tenant_id=current_tenant_id(), check_id=outage.watched_id, outage_id=outage.id))


def _tell(outage: Outage, flip: Flip, kind: EntryKind) -> None:
    values = {"error_code": flip.error_code, "error_values": flip.error_values} if flip.error_code else {}
    OutageEntry.objects.create(outage=outage, at=max(flip.at, outage.started_at), kind=kind, values=values)
