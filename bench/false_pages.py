"""False pages of targets that are well, alone and in bursts, against what was promised; and what that costs in time.

    make bench-false-pages                        24 quarters of each story, and as many of its first periods
    make bench-false-pages ARGS="--quarters 200"

No peer and no database: time is made up, the decisions are the product's own (`apps.checks.domain.patience`). A check looks
once a minute and repeats failures after five seconds. What it learns it learns within the hour, as the job does it, and once
on a day without failures. A story says when the target fails although nothing is wrong: each result by itself with some
probability, or in bursts. Such pages are false by definition. True outages come every 10, 30 or 90 days on average, which
nobody tells the product.

Told are the false pages of the first period (of the first one with failures, where a story begins with clean days) and of two
years; how long after its first failed look an outage paged, beside the least patience that keeps the promise, were all known
from the start; and the confidence shown when a page went out, beside the share of pages that were true.

The product's guesses (careful and likely) were tried out with seeds up to 7: judge them by other ones.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from math import ceil, log

from apps.checks.domain.patience import (
    BRIEF,
    DAYS_OF_MEMORY,
    MAX_RETRIES,
    OUTAGES,
    PERIODS,
    PLACES,
    History,
    Watch,
    confidence,
    retries_needed,
)
from apps.checks.enums import FalsePagePeriod

INTERVAL, RETRY_INTERVAL = 60.0, 5.0
WATCH = Watch(int(INTERVAL), int(RETRY_INTERVAL))
HOUR, DAY, QUARTER = (timedelta(**{unit: n}).total_seconds() for unit, n in (("hours", 1), ("days", 1), ("days", 91)))
LONG = 8 * QUARTER
OUTAGE_EVERY_DAYS = (10, 30, 90)
BINS = (0.0, 0.6, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Trouble:
    """Why a well target fails: so many results begin a failure, which lasts so long (None: by chance each time)."""

    ratio: float
    seconds: Callable[[random.Random], float] | None = None
    clean_days: int = 0

    def failures(self, chance: random.Random) -> int:
        """Return how many would fail in a row, were all repeated at once."""
        if self.seconds:
            return ceil(self.seconds(chance) / RETRY_INTERVAL)
        return 1 + int(log(1 - chance.random()) / log(self.ratio))


@dataclass(frozen=True)
class Story:
    """Everything that troubles a target."""

    name: str
    troubles: tuple[Trouble, ...] = ()
    period: FalsePagePeriod = FalsePagePeriod.QUARTER

    @property
    def period_seconds(self) -> float:
        return PERIODS[self.period].total_seconds()

    @property
    def first_seconds(self) -> tuple[float, float]:
        """Return from when until when the first period lasts."""
        begins = max((trouble.clean_days for trouble in self.troubles), default=0) * DAY
        return begins, begins + self.period_seconds


@dataclass(frozen=True)
class Page:
    """What went out, how many retries after the first failure, and how sure the product was."""

    at: float
    is_true: bool
    retries: int
    shown: float


@dataclass
class Check:
    """One check, from its first minute on."""

    story: Story
    chance: random.Random
    outage_every: float
    now: float = 0.0
    measured: int = 0
    forgiven: int = 0
    runs: list[int] = field(default_factory=lambda: [0] * PLACES)
    retries: int = 0
    learns_at: float = 0.0
    outage_at: float = 0.0
    pages: list[Page] = field(default_factory=list)

    def live(self, seconds: float) -> None:
        self.outage_at = self.chance.expovariate(1 / self.outage_every)
        while self.now < seconds:
            self.learn()
            self.learns_at = day_ends = self.end_of(DAY)
            while self.now < self.learns_at:
                if self.now >= self.outage_at:
                    self.be_down()
                else:
                    self.look(min(self.learns_at, self.outage_at))
            if self.now >= day_ends:
                self.forget()

    def end_of(self, stretch: float) -> float:
        return self.now - self.now % stretch + stretch

    def look(self, until: float) -> None:
        """Go on to the next failure, or so far."""
        troubles = [trouble for trouble in self.story.troubles if self.now >= trouble.clean_days * DAY]
        looks = int((until - self.now) / INTERVAL) + 1
        ratio = sum(trouble.ratio for trouble in troubles)
        good = int(log(1 - self.chance.random()) / log(1 - ratio)) if ratio else looks
        self.now += min(good, looks) * INTERVAL
        self.measured += min(good, looks)
        if good < looks:
            [trouble] = self.chance.choices(troubles, [trouble.ratio for trouble in troubles])
            self.fail(trouble)

    def fail(self, trouble: Trouble) -> None:
        began, failures, is_failing = self.now, 0, True
        until = began + trouble.seconds(self.chance) if trouble.seconds else None
        while is_failing:
            failures += 1
            if failures == self.retries + 1:
                self.page(began, is_true=False)
            self.now += RETRY_INTERVAL if failures <= self.retries else INTERVAL
            is_failing = self.now < until if until is not None else self.chance.random() < trouble.ratio
        self.be_well_again(failures)

    def be_down(self) -> None:
        self.page(self.now, is_true=True)
        self.now += 3 * INTERVAL + self.chance.expovariate(1 / 1_800)
        self.be_well_again(self.retries + 4)
        self.outage_at = self.now + self.chance.expovariate(1 / self.outage_every)

    def be_well_again(self, failures: int) -> None:
        """Count as `apps.checks.domain.results` does, and learn of it in the hour."""
        self.learns_at = min(self.learns_at, self.end_of(HOUR))
        if failures <= self.retries:
            self.runs[failures - 1] += 1
            self.measured, self.forgiven = self.measured + failures + 1, self.forgiven + failures
        elif failures <= self.retries + 2:
            self.runs[BRIEF + self.retries] += 1
        else:
            self.runs[OUTAGES] += 1

    def page(self, at: float, *, is_true: bool) -> None:
        shown = confidence(self.history, WATCH, failures=self.retries + 1, retries=self.retries)
        self.pages.append(Page(at, is_true, self.retries, shown))

    @property
    def history(self) -> History:
        return History(self.measured - self.forgiven, tuple(self.runs))

    def learn(self) -> None:
        self.retries = retries_needed(self.history, WATCH, period=self.story.period)

    def forget(self) -> None:
        """Forget as `apps.checks.domain.learning` does."""
        left = 1 - 1 / DAYS_OF_MEMORY
        self.measured = ceil(self.measured * left)
        self.forgiven = int(self.forgiven * left + self.chance.random())
        self.runs = [int(count * left + self.chance.random()) for count in self.runs]


def lasting(mean: float) -> Callable[[random.Random], float]:
    return lambda chance: chance.expovariate(1 / mean)


def alike(seconds: float) -> Callable[[random.Random], float]:
    return lambda _chance: seconds


A_DAY, A_WEEK, A_MONTH = 1 / 1_440, 1 / 10_080, 1 / 43_200
STORIES = [
    Story("no failures at all"),
    *(
        Story(f"{ratio:.2%} of results, by chance", (Trouble(ratio),))
        for ratio in (0.0001, 0.001, 0.01, 0.02, 0.05, 0.15)
    ),
    Story("1.00% of results, goal of a month", (Trouble(0.01),), FalsePagePeriod.MONTH),
    Story("60 clean days, then 1.00%", (Trouble(0.01, clean_days=60),)),
    Story("60 clean days, then 5.00%", (Trouble(0.05, clean_days=60),)),
    Story("60 clean days, then 1.00%, month", (Trouble(0.01, clean_days=60),), FalsePagePeriod.MONTH),
    Story("1.00%, after 60 days 5.00%", (Trouble(0.01), Trouble(0.04, clean_days=60))),
    Story("a burst of 12 s a day", (Trouble(A_DAY, alike(12)),)),
    Story("a burst a day, 10 s on average", (Trouble(A_DAY, lasting(10)),)),
    Story("60 clean days, then such bursts", (Trouble(A_DAY, lasting(10), clean_days=60),)),
    Story("1.00%, and such a burst a day", (Trouble(0.01), Trouble(A_DAY, lasting(10)))),
    Story("six bursts a day, 5 s on average", (Trouble(6 * A_DAY, lasting(5)),)),
    Story("a burst a week, 15 s on average", (Trouble(A_WEEK, lasting(15)),)),
    Story("a burst of 30 s a week", (Trouble(A_WEEK, alike(30)),)),
    Story("a burst of 30 s a month", (Trouble(A_MONTH, alike(30)),)),
    Story("1.00%, and a burst of 12 s a day", (Trouble(0.01), Trouble(A_DAY, alike(12)))),
    Story("1.00%, and a burst of 30 s a week", (Trouble(0.01), Trouble(A_WEEK, alike(30)))),
]


@dataclass(frozen=True)
class Counted:
    """What came of a story: false pages, how late true ones were (in seconds), and every page of it."""

    first_period: float
    a_period: float
    late_first: float
    late_in_the_end: float
    least_late: float
    pages: list[Page]

    @property
    def is_kept(self) -> bool:
        return max(self.first_period, self.a_period) <= 1


def play(story: Story, *, quarters: int, seed: int) -> Counted:
    """Watch many checks for a first period, and some for two years."""
    begins, ends = story.first_seconds
    beginners = [_lived(story, ends, f"{seed} first {number}", number) for number in range(quarters)]
    veterans = [_lived(story, LONG, f"{seed} {number}", number) for number in range(max(1, quarters // 8))]
    first = [page for check in (*beginners, *veterans) for page in check.pages if begins <= page.at < ends]
    long = [page for check in veterans for page in check.pages]
    return Counted(
        first_period=_false(first) / (len(beginners) + len(veterans)),
        a_period=_false(long) * story.period_seconds / (LONG * len(veterans)),
        late_first=_late(first),
        late_in_the_end=_late(page for page in long if page.at >= LONG / 2),
        least_late=_least_retries(story) * RETRY_INTERVAL,
        pages=[page for check in (*beginners, *veterans) for page in check.pages],
    )


def _lived(story: Story, seconds: float, seed: str, number: int) -> Check:
    check = Check(
        story, random.Random(f"{story.name} {seed}"), OUTAGE_EVERY_DAYS[number % len(OUTAGE_EVERY_DAYS)] * DAY
    )
    check.live(seconds)
    return check


def _false(pages: Iterable[Page]) -> int:
    return sum(not page.is_true for page in pages)


def _late(pages: Iterable[Page]) -> float:
    return statistics.fmean([page.retries * RETRY_INTERVAL for page in pages if page.is_true] or [0.0])


def _least_retries(story: Story, tries: int = 20_000) -> int:
    """Return the fewest retries that keep the promise, found by trying many runs."""
    chance = random.Random(story.name)
    looks = story.period_seconds / INTERVAL
    lengths = [
        (trouble.ratio * looks / tries, trouble.failures(chance)) for trouble in story.troubles for _try in range(tries)
    ]
    kept = (most for most in range(1, MAX_RETRIES) if sum(weight for weight, length in lengths if length > most) <= 1)
    return next(kept, MAX_RETRIES)


@dataclass(frozen=True)
class Bin:
    """Pages that were shown about alike."""

    pages: int
    shown: float
    true: float


def in_bins(pages: Iterable[Page]) -> list[Bin]:
    """Put pages beside those that were shown with about the same confidence."""
    pages = list(pages)
    bins = []
    for low, high in pairwise(BINS):
        those = [page for page in pages if low <= page.shown < high or page.shown == high == 1]
        if those:
            shown = statistics.fmean(page.shown for page in those)
            bins.append(Bin(len(those), shown, 1 - _false(those) / len(those)))
    return bins


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quarters", type=int, default=24)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args(arguments)
    print(f"{'':34} {'false pages a period':>21} {'outages page after, s':>26} {'confidence':>16}")
    print(f"{'failures although all is well':34} {'first':>10} {'two years':>10}", end="")
    print(f" {'first':>8} {'2nd year':>9} {'least':>7} {'shown':>8} {'true':>7}")
    is_kept, pages = True, list[Page]()
    for story in STORIES:
        told = play(story, quarters=asked.quarters, seed=asked.seed)
        is_kept, pages = is_kept and told.is_kept, pages + told.pages
        shown, true = statistics.fmean(page.shown for page in told.pages), 1 - _false(told.pages) / len(told.pages)
        late = f"{told.late_first:8.0f} {told.late_in_the_end:9.0f} {told.least_late:7.0f}"
        print(
            f"{story.name:34} {told.first_period:10.2f} {told.a_period:10.2f} {late} {shown:8.1%} {true:7.1%}",
            flush=True,
        )
    for each in in_bins(pages):
        print(f"of {each.pages:5} pages shown with {each.shown:.1%} on average, {each.true:.1%} were true")
    print("At most one false page a period, from the first on: " + ("reached" if is_kept else "MISSED"))
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
