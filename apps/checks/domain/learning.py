"""What checks' own history teaches: how often their results fail by chance, and how many retries that asks for."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.patience import PRIOR_FAILURES, PRIOR_RESULTS, retries_needed
from apps.checks.enums import FalsePagePeriod
from apps.checks.models import Check, CheckState
from apps.core.tenancy import system_scope

# A month ago counts half: of each day's counts a fortieth is forgotten.
FORGET = "UPDATE checks_turn SET measured = measured * 39 / 40, forgiven = forgiven * 39 / 40 WHERE measured > 40"
LEARN = f"""
UPDATE checks_checkstate AS standing SET false_failure_ratio = learned.ratio
FROM (
    SELECT check_id, ((sum(forgiven) + {PRIOR_FAILURES}) / (sum(measured) + {PRIOR_RESULTS}))::float4 AS ratio
    FROM checks_turn GROUP BY check_id
) AS learned
WHERE learned.check_id = standing.check_id AND standing.false_failure_ratio IS DISTINCT FROM learned.ratio
"""  # noqa: S608 - constants alone


def learn_patience() -> int:
    """Learn every check's share of chance failures, and give those with a goal the retries it needs; return how many
    checks got others. Safe to repeat."""
    with system_scope("one job learns for every tenant's checks"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LEARN)
        with_goal = Check.unscoped.exclude(false_page_period="")
        return _keep_goals(with_goal.select_related("checkstate").order_by("id").select_for_update(of=("self",)))


def forget_a_little() -> None:
    """Let old counts fade, once a day."""
    with system_scope("one job forgets for every tenant's checks"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FORGET)


def keep_goals(check_ids: Iterable[UUID]) -> None:
    """Give those of the checks that have a goal the retries it needs, right after it was set."""
    with_goal = Check.objects.filter(id__in=list(check_ids)).exclude(false_page_period="")
    _keep_goals(with_goal.select_related("checkstate"))


def _keep_goals(checks: Iterable[Check]) -> int:
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
        )
        if needed != check.retries:
            check.retries = needed
            changed.append(check)
    Check.unscoped.bulk_update(changed, ["retries"], batch_size=500)
    return len(changed)
