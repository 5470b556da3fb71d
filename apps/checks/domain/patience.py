"""How many failures in a row are needed before somebody is paged, from a check's own history.

A run test: while the target is well, each result fails by itself with a small probability p, learned from the check's own
results. A run of m failures then begins at any one result with probability p^m, so that N results give N * p^m false pages.
Asking for at most one gives m = ln N / -ln p. That is Wald's sequential test for "failing" against "failing by chance" with
error rate 1/N, for the case that a success settles it (A. Wald, Sequential Analysis, 1947, chapter 3).

Failures that come in bursts break that rule: the second is then likelier than the first. So what follows is watched, too:
each page that was over by itself with the next look or two asks for more failures for a while. `bench/false_pages.py`
counts what comes of it.
"""

from datetime import timedelta
from math import ceil, log

from apps.checks.enums import FalsePagePeriod

# One at least: where the first failure is an outage, no failure is ever seen to be none, and nothing is learned.
MIN_RETRIES, MAX_RETRIES = 1, 10
# So many results are remembered of each region: what was learned of another target, or in better days, soon counts no more.
MEMORY = 5_000
# Pages that were over by themselves are heeded for so many periods, each by so many retries. Both are tried out by the bench:
# half as many periods, or one retry each, let bursts break the promise in the second year, too.
HEEDED_PERIODS = 8
RETRIES_FOR_A_BRIEF_OUTAGE = 2
# What is assumed of a check without history: one failure in a hundred by chance, worth fifty results.
PRIOR_FAILURES = 0.5
PRIOR_RESULTS = 50.0
# Of the results of a target that is down so many fail; and one is down anew so often.
FAILING_WHEN_DOWN = 0.95
AN_OUTAGE_EVERY = timedelta(days=30)

PERIODS = {
    FalsePagePeriod.WEEK: timedelta(weeks=1),
    FalsePagePeriod.MONTH: timedelta(days=30),
    FalsePagePeriod.QUARTER: timedelta(days=91),
    FalsePagePeriod.YEAR: timedelta(days=365),
}


def false_failure_ratio(*, failures: int, results: int) -> float:
    """Return p: of ``results`` while the target was well, ``failures`` failed; few results are pulled towards 1 %."""
    return (failures + PRIOR_FAILURES) / (results + PRIOR_RESULTS)


def retries_needed(
    ratio: float, *, interval_seconds: int, regions: int, period: FalsePagePeriod, brief_outages: int = 0
) -> int:
    """Return the retries (failures forgiven in a row) that keep false pages to at most one a ``period``.

    ``brief_outages`` is how many pages of the last `HEEDED_PERIODS` were over by themselves.
    """
    results = PERIODS[period].total_seconds() / interval_seconds * max(1, regions)
    runs = log(max(results, 2)) / -log(min(max(ratio, 1e-9), 0.99))
    return min(max(ceil(runs) - 1, MIN_RETRIES) + RETRIES_FOR_A_BRIEF_OUTAGE * brief_outages, MAX_RETRIES)


def confidence(failures: int, *, false_failure_ratio: float | None, interval_seconds: int) -> float:
    """Return how sure we are, 0–1, that so many failures in a row (over all regions) are an outage and no chance.

    By Bayes' rule: of all results, so many begin an outage and so many such a run by chance.
    """
    chance = false_failure_ratio if false_failure_ratio is not None else PRIOR_FAILURES / PRIOR_RESULTS
    begins = min(timedelta(seconds=interval_seconds) / AN_OUTAGE_EVERY, 0.5)
    by_outage = begins * FAILING_WHEN_DOWN**failures
    by_chance = (1 - begins) * chance**failures
    return by_outage / (by_outage + by_chance)
