"""What checks' own history teaches: how often their results fail by chance, and how many retries that asks for."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.patience import (
    HEEDED_PERIODS,
    MEMORY,
    PERIODS,
    PRIOR_FAILURES,
    PRIOR_RESULTS,
    retries_needed,
)
from apps.checks.enums import FalsePagePeriod, State
from apps.checks.models import Check, CheckState
from apps.core import clock
from apps.core.tenancy import system_scope

# Rounded up as often as its fraction says: rounding down would forget the failures of checks that have few.
FADE = """
WITH mine AS (SELECT check_id, region_id FROM checks_turn WHERE measured > {more_than} FOR UPDATE SKIP LOCKED)
UPDATE checks_turn AS turn SET measured = {left}, forgiven = floor(forgiven * ({left})::float8 / measured + random())
FROM mine WHERE turn.check_id = mine.check_id AND turn.region_id = mine.region_id
"""  # rivals: probers that store results; turns that they hold fade the next time
# A month ago counts half: of each day's counts a fortieth is forgotten.
FORGET = FADE.format(more_than=40, left="measured * 39 / 40")
KEEP_MEMORY_SHORT = FADE.format(more_than=MEMORY, left=MEMORY)
# Rivals: whoever flips checks locks several states in the order of their ids; those that are held are learned of next time.
LEARN = f"""
WITH learned AS (
    SELECT check_id, ((sum(forgiven) + {PRIOR_FAILURES}) / (sum(measured) + {PRIOR_RESULTS}))::float4 AS ratio
    FROM checks_turn GROUP BY check_id
), mine AS (
    SELECT standing.check_id, learned.ratio
    FROM checks_checkstate AS standing JOIN learned ON learned.check_id = standing.check_id
    WHERE standing.false_failure_ratio IS DISTINCT FROM learned.ratio FOR UPDATE OF standing SKIP LOCKED
)
UPDATE checks_checkstate AS standing SET false_failure_ratio = mine.ratio
FROM mine WHERE mine.check_id = standing.check_id
"""  # noqa: S608 - constants alone
# Outages that were over, by themselves, with the next look or two after the retries.
BRIEF_OUTAGES = f"""
SELECT watched.id, count(*)
FROM unnest(%s::uuid[], %s::timestamptz[]) AS goal (check_id, since_at)
JOIN checks_check AS watched ON watched.id = goal.check_id
JOIN checks_flip AS began ON began.check_id = watched.id AND began.at >= goal.since_at
CROSS JOIN LATERAL (
    SELECT at, after FROM checks_flip AS later
    WHERE later.check_id = began.check_id AND later.sequence > began.sequence ORDER BY later.sequence LIMIT 1
) AS ended
WHERE began.after = '{State.DOWN}' AND began.before IN ('{State.UP}', '{State.DEGRADED}')
  AND ended.after IN ('{State.UP}', '{State.DEGRADED}')
  AND ended.at - began.at <= make_interval(secs => 2 * watched.interval_seconds
      + watched.retries * least(watched.retry_interval_seconds, watched.interval_seconds))
GROUP BY watched.id
"""  # noqa: S608 - constants alone


def learn_patience() -> int:
    """Learn every check's share of chance failures, and give those with a goal the retries it needs; return how many
    checks got others. Safe to repeat."""
    with system_scope("one job learns for every tenant's checks"):
        _execute(KEEP_MEMORY_SHORT)
        _execute(LEARN)
        with transaction.atomic():
            # Rivals: people who edit a check; it is left to the next time.
            with_goal = Check.unscoped.exclude(false_page_period="").select_related("checkstate").order_by("id")
            return _keep_goals(with_goal.select_for_update(of=("self",), skip_locked=True))


def forget_a_little() -> None:
    """Let old counts fade, once a day."""
    with system_scope("one job forgets for every tenant's checks"):
        _execute(FORGET)


@transaction.atomic
def _execute(statement: str) -> None:
    """Run a statement in a transaction of its own, so that no lock of it is held while others are waited for."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def keep_goals(check_ids: Iterable[UUID]) -> None:
    """Give those of the checks that have a goal the retries it needs, right after it was set."""
    with_goal = Check.objects.filter(id__in=list(check_ids)).exclude(false_page_period="")
    _keep_goals(with_goal.select_related("checkstate"))


def _keep_goals(with_goal: Iterable[Check]) -> int:
    checks = list(with_goal)
    brief = _brief_outages(checks) if checks else {}
    changed = []
    for check in checks:
        standing: CheckState = check.checkstate
        needed = retries_needed(
            standing.false_failure_ratio
            if standing.false_failure_ratio is not None
            else PRIOR_FAILURES / PRIOR_RESULTS,
            interval_seconds=check.interval_seconds,
            regions=len(check.regions),
            period=FalsePagePeriod(check.false_page_period),
            brief_outages=brief.get(check.id, 0),
        )
        if needed != check.retries:
            check.retries = needed
            changed.append(check)
    Check.unscoped.bulk_update(changed, ["retries"], batch_size=500)
    return len(changed)


def _brief_outages(checks: Iterable[Check]) -> dict[UUID, int]:
    """Return how many pages of the last periods were over by themselves, of checks that had any."""
    now = clock.now()
    since = {check.id: now - _heeded(check) for check in checks}
    with connection.cursor() as cursor:
        cursor.execute(BRIEF_OUTAGES, [list(since), list(since.values())])
        return dict(cursor.fetchall())


def _heeded(check: Check) -> timedelta:
    return HEEDED_PERIODS * PERIODS[FalsePagePeriod(check.false_page_period)]
