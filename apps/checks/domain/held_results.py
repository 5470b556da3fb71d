"""Results of our own probers by their age: one that was held while the database was away may tell of another time.

Such a one judges nothing (`apps.checks.domain.late_results`): a failure of hours ago pages nobody, and a success of then says
nothing of the hours since. Where there was no absence a result judges whatever its age: a prober that cannot keep up would
else tell nobody of any outage.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.checks.domain.judging import SILENT_AFTER
from apps.checks.domain.late_results import LATE_AFTER, each_judges_for, store_late
from apps.checks.domain.results import NewResult, store_results
from apps.checks.domain.turns import make_due_again
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import system_scope

SIGN_OVERDUE = SILENT_AFTER / 2  # several signs of life were not heard


class Contact:
    """Knows when a prober last heard the database again after an absence.

    Only silence between two questions is one, and that of questions without an answer: an answer that took its time shows
    that the database was there.
    """

    def __init__(self) -> None:
        self._heard = float("-inf")  # of the clock that nobody can set, as is the next
        self._again, self._again_at = clock.steady(), clock.now()

    def asks(self) -> None:
        """Note that the database is asked for something: after an absence it may be heard again with that."""
        if clock.steady() - self._heard > SIGN_OVERDUE.total_seconds():
            self._again, self._again_at = clock.steady(), clock.now()

    def hears(self) -> None:
        """Note that the database has answered."""
        self._heard = clock.steady()

    @property
    def heard_again_at(self) -> datetime:
        """Return when the last absence ended; as of the clock of then or of now, whichever is earlier where it was set since."""
        return min(self._again_at, clock.now() - timedelta(seconds=clock.steady() - self._again))


def store_by_age(results: Sequence[NewResult], *, heard_again_at: datetime) -> None:
    """Store a batch: what is too old to judge and was seen before the last absence ended is kept. Safe to repeat.

    Two transactions: what was judged holds states, and who keeps late results locks turns, which come before them.
    """
    now = clock.now()
    # Counted from the probe and not from its turn, which may have waited for hours before anybody took it.
    old = [result for result in results if result.started_at < heard_again_at and now - result.started_at > LATE_AFTER]
    limits = _limits({result.check_id for result in old}) if old else {}
    late = [result for result in old if now - result.started_at > limits.get(result.check_id, timedelta.max)]
    late_ids = {result.check_id for result in late}
    live = [result for result in results if result.check_id not in late_ids] if late else results
    if live:
        store_results(live)
    if late:
        with system_scope("a prober's batch holds results of many tenants"), transaction.atomic():
            store_late(late)
            make_due_again(late[0].region_id, late_ids)


def _limits(check_ids: Collection[UUID]) -> dict[UUID, timedelta]:
    """Return how old a result of each check may be that still judges."""
    with system_scope("a prober's batch holds results of many tenants"):
        checks = Check.unscoped.filter(id__in=check_ids)
        return each_judges_for(checks.values_list("id", "interval_seconds", "timeout_seconds"))
