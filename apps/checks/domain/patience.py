"""How many failures in a row are needed before somebody is paged, from a check's own history.

A sequential test (A. Wald, Sequential Analysis, 1947, chapter 3): after each failure in a row either the next look settles it
or it is "down", and where the line is drawn follows from the error rate that is asked for. Between "it fails by chance" and
"it is down" a success decides; so of runs of failures that end by themselves, those of m or more are the false pages of a
check that pages at m.

How often runs begin and how long they last is counted. That the next one fails, too, is *not* taken to be as rare as the
first failure was: failures come in bursts (E. N. Gilbert, Capacity of a burst-noise channel, 1960). For each length it is
estimated by itself which share of runs goes on, runs whose end was not seen counting as far as they were seen (the
product-limit estimate: E. L. Kaplan, P. Meier, Nonparametric estimation from incomplete observations, 1958), and drawn
towards what is assumed of bursts while little was seen (beta priors: V. Susarla, J. Van Ryzin, 1976).
`bench/false_pages.py` counts what comes of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import exp
from typing import Any, Protocol, Self

from apps.checks.enums import FalsePagePeriod

# One at least: where the first failure is an outage, no failure is ever seen to be none, and nothing is learned. The places
# of what turns have counted follow from the most: another number takes a migration that lays out every turn's `runs` anew.
MIN_RETRIES, MAX_RETRIES = 1, 10
# How a turn counts what came of runs of failures: first those that were forgiven, by their failures; then outages that were
# over by themselves with the next look or two, by the failures that had made them one; last the other outages.
BRIEF = MAX_RETRIES
OUTAGES = 2 * MAX_RETRIES + 1
PLACES = OUTAGES + 1
# A run that was over with the look after its page had gone on meanwhile, nobody knows how long: for so many retries, at least.
UNSEEN_RETRIES = 2
# What is assumed of a check without history, worth one run that began in one day: a burst lasts so long on average.
BURST = timedelta(seconds=10)
ONE_RUN_EVERY = timedelta(days=1)
# Where the share of runs that go on is not known better, it is never taken to be less.
RARELY = 0.02
# What is expected by a careful guess is kept to so much of what was promised: guesses err, and bursts may be new.
CAUTION = 0.25
# Of the results of a target that is down so many fail; and one is down anew so often, worth one outage.
FAILING_WHEN_DOWN = 0.95
AN_OUTAGE_EVERY = timedelta(days=30)
# More failures in a row make nobody surer; the likelihoods of far more are too small for a float, and vanish.
MOST_FAILURES = 1_000
# Runs may be of a trouble that began lately, so that they come so much oftener than on average.
NEW_TROUBLE = 3.0
# Known better than by a careful guess: runs in a day, and how much fewer of them go on.
LIKELY_RUNS = 0.5
LIKELY_TO_GO_ON = 0.8
# That a promise cannot be kept is said only of a check that was seen to fail for long so often.
ENOUGH_RUNS = 3
DAYS_OF_MEMORY = 180

PERIODS = {
    FalsePagePeriod.WEEK: timedelta(weeks=1),
    FalsePagePeriod.MONTH: timedelta(days=30),
    FalsePagePeriod.QUARTER: timedelta(days=91),
    FalsePagePeriod.YEAR: timedelta(days=365),
}


class Counts(Protocol):
    """What one region's turn has counted."""

    @property
    def measured(self) -> int: ...

    @property
    def forgiven(self) -> int: ...

    @property
    def runs(self) -> Sequence[int] | None: ...


class Watched(Protocol):
    """What a check says of how it is watched."""

    interval_seconds: int
    retry_interval_seconds: int
    regions: Any
    confirmations: int


@dataclass(frozen=True, slots=True)
class Watch:
    """How a check is watched; where ``confirmations`` regions must agree, each page takes so many runs."""

    interval_seconds: int
    retry_interval_seconds: int
    regions: int = 1
    confirmations: int = 1

    @classmethod
    def of(cls, check: Watched) -> Self:
        regions = max(1, len(check.regions))
        return cls(check.interval_seconds, check.retry_interval_seconds, regions, check.confirmations)

    @property
    def retry_seconds(self) -> int:
        return min(self.retry_interval_seconds, self.interval_seconds)

    @property
    def runs_per_page(self) -> float:
        return max(1, min(self.confirmations, self.regions))


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a check: good results, and what came of runs of failures (see `PLACES`), over all its regions."""

    well: int = 0
    runs: tuple[int, ...] = (0,) * PLACES

    @classmethod
    def of(cls, turns: Iterable[Counts]) -> Self:
        # Who forgave failures and counted no runs did so before runs were counted: theirs are unknown, and none is no number.
        # Nor is anything known from counts of so many places as there are not.
        turns = [turn for turn in turns if (len(turn.runs) == PLACES if turn.runs else not turn.forgiven)]
        counted = [turn.runs for turn in turns if turn.runs]
        runs = tuple(map(sum, zip(*counted, strict=True))) if counted else (0,) * PLACES
        return cls(sum(turn.measured - turn.forgiven for turn in turns), runs)

    @property
    def began(self) -> int:
        """How many runs began that were no outage."""
        return sum(self.runs[:OUTAGES])

    def settled(self, failures: int) -> tuple[int, int]:
        """Return of how many runs it was seen whether they went on after so many failures (`MAX_RETRIES` at most), and how
        many of them did."""
        known = max(failures + 1 - UNSEEN_RETRIES, 1)
        went_on = sum(self.runs[failures:MAX_RETRIES]) + sum(self.runs[BRIEF + known - 1 : OUTAGES])
        return self.runs[failures - 1] + went_on, went_on


@dataclass(frozen=True, slots=True)
class Guess:
    """What is assumed before anything was seen: so many runs in a day's watching, and the share of runs that go on. And so
    much oftener than on average they may come now."""

    runs: float
    goes_on: float
    oftener: float = 1.0


def careful(watch: Watch) -> Guess:
    """Return the guess by which nobody is paged too early: a burst a day."""
    return Guess(1.0, max(exp(-watch.retry_seconds / BURST.total_seconds()), RARELY), NEW_TROUBLE)


def likely(watch: Watch) -> Guess:
    """Return the guess by which what is said of pages comes true as often as it says (`bench/false_pages.py`)."""
    guess = careful(watch)
    return Guess(LIKELY_RUNS, guess.goes_on * LIKELY_TO_GO_ON)


def retries_needed(history: History, watch: Watch, *, period: FalsePagePeriod) -> int:
    """Return the retries (failures forgiven in a row) that keep false pages to at most one a ``period``."""
    guess = careful(watch)
    pages = _runs_a_second(history, watch, guess) * PERIODS[period].total_seconds()
    for retries in range(MIN_RETRIES, MAX_RETRIES):
        pages *= _goes_on(history, retries, guess)
        if pages <= CAUTION:
            return retries
    return MAX_RETRIES


def false_pages(history: History, watch: Watch, *, retries: int, period: FalsePagePeriod) -> float:
    """Return how many false pages are to be expected each ``period``, at most: by chance regions rarely agree."""
    runs = _runs_a_second(history, watch, likely(watch)) * PERIODS[period].total_seconds()
    return runs * _share_longer(history, watch, failures=retries, retries=retries)


def is_beyond_retries(history: History, watch: Watch, *, period: FalsePagePeriod) -> bool:
    """Tell whether no retries there are could keep the promise: only of runs that were seen to last so long."""
    seen, _went_on = history.settled(MAX_RETRIES)
    return seen >= ENOUGH_RUNS and false_pages(history, watch, retries=MAX_RETRIES, period=period) > 1


def confidence(history: History, watch: Watch, *, failures: int, retries: int, agreeing: int = 1) -> float:
    """Return how sure we are, 0–1, that so many failures in a row in each of the ``agreeing`` regions are an outage.

    By Bayes' rule: of all times, so many begin an outage and so many a run that lasts as long.
    """
    failures = min(failures, MOST_FAILURES)
    month = AN_OUTAGE_EVERY.total_seconds()
    watched = history.well * watch.interval_seconds
    outages = (history.runs[OUTAGES] + 1) / (watched + month) * FAILING_WHEN_DOWN ** (failures - 1)
    runs = _runs_a_second(history, watch, likely(watch)) * watch.runs_per_page / max(1, agreeing)
    by_chance = runs * _share_longer(history, watch, failures=failures - 1, retries=retries)
    return outages / (outages + by_chance)


def _runs_a_second(history: History, watch: Watch, guess: Guess) -> float:
    """Return how many runs begin that could become a page of their own."""
    watched = history.well * watch.interval_seconds + ONE_RUN_EVERY.total_seconds()
    return (history.began * guess.oftener + guess.runs) / watched * watch.regions / watch.runs_per_page


def _goes_on(history: History, failures: int, guess: Guess) -> float:
    """Return the share of runs that go on after so many failures."""
    seen, went_on = history.settled(failures)
    return (went_on + guess.goes_on) / (seen + 1)


def _share_longer(history: History, watch: Watch, *, failures: int, retries: int) -> float:
    """Return the share of runs that have more than so many failures, the ``retries`` among them close to each other."""
    guess, share = likely(watch), 1.0
    for each in range(1, min(failures, retries) + 1):
        share *= _goes_on(history, each, guess)
    # Looks are further apart than retries: few bursts that outlast a retry outlast a whole interval, and what fails by
    # chance fails anew.
    looks = history.well + history.began + ONE_RUN_EVERY.total_seconds() / watch.interval_seconds
    again = max(guess.goes_on ** (watch.interval_seconds / watch.retry_seconds), (history.began + guess.runs) / looks)
    return share * float(again ** max(0, failures - retries))
