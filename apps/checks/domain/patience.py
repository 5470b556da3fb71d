"""How many failures in a row are needed before somebody is paged, from a check's own history.

A run test: while the target is well, each result fails by itself with a small probability p, learned from the check's own
results. A run of m failures then begins at any one result with probability p^m, so that N results give N * p^m false pages.
Asking for at most one gives m = ln N / -ln p. That is Wald's sequential test for "failing" against "failing by chance" with
error rate 1/N, for the case that a success settles it (A. Wald, Sequential Analysis, 1947, chapter 3).
"""

from datetime import timedelta
from math import ceil, log

from apps.checks.enums import FalsePagePeriod

MAX_RETRIES = 10
# What is assumed of a check without history: one failure in a hundred by chance, worth fifty results.
PRIOR_FAILURES = 0.5
PRIOR_RESULTS = 50.0
# Of the results of a target that is down so many fail; and of all failing runs' beginnings so many are true.
FAILING_WHEN_DOWN = 0.95
PRIOR_OUTAGE_RATIO = 0.001

PERIODS = {
    FalsePagePeriod.WEEK: timedelta(weeks=1),
    FalsePagePeriod.MONTH: timedelta(days=30),
    FalsePagePeriod.QUARTER: timedelta(days=91),
    FalsePagePeriod.YEAR: timedelta(days=365),
}


def false_failure_ratio(*, failures: int, results: int) -> float:
    """Return p: of ``results`` while the target was well, ``failures`` failed; few results are pulled towards 1 %."""
    return (failures + PRIOR_FAILURES) / (results + PRIOR_RESULTS)


def retries_needed(ratio: float, *, interval_seconds: int, regions: int, period: FalsePagePeriod) -> int:
    """Return the retries (failures forgiven in a row) that keep false pages to at most one a ``period``."""
    results = PERIODS[period].total_seconds() / interval_seconds * max(1, regions)
    runs = log(max(results, 2)) / -log(min(max(ratio, 1e-9), 0.99))
    return min(max(ceil(runs) - 1, 0), MAX_RETRIES)


def confidence(failures: int, *, false_failure_ratio: float | None) -> float:
    """Return how sure we are, 0–1, that so many failures in a row (over all regions) are an outage and no chance."""
    chance = false_failure_ratio if false_failure_ratio is not None else PRIOR_FAILURES / PRIOR_RESULTS
    by_outage = PRIOR_OUTAGE_RATIO * FAILING_WHEN_DOWN**failures
    by_chance = (1 - PRIOR_OUTAGE_RATIO) * chance**failures
    return by_outage / (by_outage + by_chance)
