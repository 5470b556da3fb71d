"""What checks' own history teaches: how many retries their goals ask for. Counts are kept where results are stored
(`apps.checks.domain.results`)."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.patience import DAYS_OF_MEMORY, History, Watch, retries_needed
from apps.checks.enums import FalsePagePeriod
from apps.checks.models import Check
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope

# Each day a part of what was counted is forgotten: bursts come weeks apart, so half is still known after four months.
# Rounded up as often as its fraction says: rounding down would forget the failures of checks that have few.
LEFT = f"{DAYS_OF_MEMORY - 1}.0 / {DAYS_OF_MEMORY}"
FORGET = f"""
WITH mine AS (
    SELECT check_id, region_id FROM checks_turn
    WHERE (check_id, region_id) > (%s, %s) AND measured > {DAYS_OF_MEMORY}
    ORDER BY check_id, region_id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
), faded AS (
    UPDATE checks_turn AS turn
    SET measured = ceil(measured * {LEFT}), forgiven = floor(forgiven * {LEFT} + random()),
        runs = CASE WHEN runs IS NOT NULL THEN ARRAY(
            SELECT floor(counted * {LEFT} + random())::int FROM unnest(runs) WITH ORDINALITY AS run (counted, place)
            ORDER BY place
        ) END
    FROM mine WHERE turn.check_id = mine.check_id AND turn.region_id = mine.region_id
    RETURNING turn.check_id, turn.region_id
)
SELECT check_id, region_id FROM faded ORDER BY check_id DESC, region_id DESC LIMIT 1
"""  # noqa: S608 - constants alone; rivals: probers that store results; turns that they hold fade the next time
BATCH = 1_000
BEFORE_ALL = (UUID(int=0), 0)
READ = ("retries", "interval_seconds", "retry_interval_seconds", "regions", "confirmations", "false_page_period")
COUNTS = "SELECT check_id, measured, forgiven, runs FROM checks_turn WHERE check_id = ANY(%s)"


class Counted(NamedTuple):
    """What one region counted of a check."""

    measured: int
    forgiven: int
    runs: list[int] | None


def learn_patience() -> int:
    """Give every check with a goal the retries that its history asks for; return how many got others. Safe to repeat."""
    with system_scope("one job learns for every tenant's checks"), transaction.atomic():
        # Rivals: people who edit a check; it is left to the next time.
        with_goal = Check.unscoped.exclude(false_page_period="").order_by("id").only(*READ)
        return _keep_goals(with_goal.select_for_update(no_key=True, skip_locked=True))


def forget_a_little() -> None:
    """Let old counts fade, once a day: in portions, so that probers wait for few of them at a time."""
    after: tuple[UUID, int] | None = BEFORE_ALL
    while after:
        after = _fade(after)


def _fade(after: tuple[UUID, int]) -> tuple[UUID, int] | None:
    """Let the counts of the next turns fade, and return the last of these; None at the end."""
    with system_scope("one job forgets for every tenant's checks"), transaction.atomic(), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(FORGET, [*after, BATCH])
        last: tuple[UUID, int] | None = cursor.fetchone()
        return last


def keep_goals(check_ids: Iterable[UUID]) -> None:
    """Give those of the checks that have a goal the retries it needs, right after it was set."""
    _keep_goals(Check.objects.filter(id__in=list(check_ids)).exclude(false_page_period="").only(*READ))


def _keep_goals(with_goal: Iterable[Check]) -> int:
    checks = list(with_goal)
    counts = _counts([check.id for check in checks]) if checks else {}
    changed = []
    for check in checks:
        history = History.of(counts.get(check.id, ()))
        needed = retries_needed(history, Watch.of(check), period=FalsePagePeriod(check.false_page_period))
        if needed != check.retries:
            check.retries = needed
            changed.append(check)
    Check.unscoped.bulk_update(changed, ["retries"], batch_size=500)
    return len(changed)


def _counts(check_ids: list[UUID]) -> dict[UUID, list[Counted]]:
    found: dict[UUID, list[Counted]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, [check_ids])
        for check_id, *counted in cursor.fetchall():
            found.setdefault(check_id, []).append(Counted(*counted))
    return found
