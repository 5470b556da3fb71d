"""Results of our own probers by their age: one that was held while the database was away may tell of another time.

Such a one judges nothing (`apps.checks.domain.late_results`): a failure of hours ago pages nobody, and a success of then says
nothing of the hours since.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from apps.checks.domain.late_results import LATE_AFTER, judges_for, store_late
from apps.checks.domain.results import NewResult, store_results
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import system_scope


def store_by_age(results: Sequence[NewResult]) -> None:
    """Store a batch: what is fresh judges, what is too old for that is kept. Safe to repeat.

    Two transactions: what was judged holds states, and who keeps late results locks turns, which come before them.
    """
    now = clock.now()
    # Counted from the probe and not from its turn, which may have waited for hours before anybody took it.
    old = [result for result in results if now - result.started_at > LATE_AFTER]
    limits = _limits({result.check_id for result in old}) if old else {}
    late = [result for result in old if now - result.started_at > limits.get(result.check_id, timedelta.max)]
    late_ids = {result.check_id for result in late}
    live = [result for result in results if result.check_id not in late_ids] if late else results
    if live:
        store_results(live)
    if late:
        with system_scope("a prober's batch holds results of many tenants"):
            store_late(late)


def _limits(check_ids: Collection[UUID]) -> dict[UUID, timedelta]:
    """Return how old a result of each check may be that still judges."""
    with system_scope("a prober's batch holds results of many tenants"):
        timings = Check.unscoped.filter(id__in=check_ids).values_list("id", "interval_seconds", "timeout_seconds")
        return {
            check_id: judges_for(interval_seconds=interval, timeout_seconds=timeout)
            for check_id, interval, timeout in timings
        }
