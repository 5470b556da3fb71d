"""One topic as one process sees it: its number, what changed lately, what is held back to merge (no I/O)."""

from dataclasses import dataclass, field

from apps.live.domain.wire import EVERYTHING, Heard, condensed

SECONDS_BETWEEN_DELTAS = 1.0
MEMORY_SECONDS = 120.0
MEMORY_IDS = 500


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in the messages `first` to `last`; ids may hold `*` for "do not trust your picture"."""

    first: int
    last: int
    ids: frozenset[str]

    @property
    def is_everything(self) -> bool:
        return EVERYTHING in self.ids


@dataclass(frozen=True, slots=True)
class Seen:
    """What a browser says it knows: the last number of an epoch, or else only how old its page is."""

    epoch: str = ""
    n: int | None = None
    age_seconds: float | None = None


@dataclass(slots=True)
class Feed:
    """Merge a topic's messages into at most one delta a second, and remember what changed lately."""

    n: int | None = None
    # When each id last changed and in which message, oldest first; complete for what came after these two:
    recent: dict[str, tuple[float, int]] = field(default_factory=dict)
    complete_since: float = 0.0
    complete_after: int | None = None
    next_at: float = 0.0
    held: Delta | None = None

    def hear(self, heard: Heard, now: float) -> Delta | None:
        """Take a message in; return the delta to send now, or None when it is held back until `next_at`."""
        has_gap = self.n is not None and heard.n > self.n + 1
        if has_gap:
            self.recent.clear()
            self.complete_since = now
        if has_gap or self.complete_after is None:
            self.complete_after = heard.n - 1
        # A smaller number is no step back: Redis was asked for the number while this message was on its way.
        self.n = max(heard.n, self.n or 0)
        self._remember(heard, now)
        delta = Delta(heard.n, self.n, frozenset((EVERYTHING,)) if has_gap else heard.ids)
        self.held = delta if self.held is None else _merged(self.held, delta)
        return self.release(now) if now >= self.next_at else None

    def release(self, now: float) -> Delta | None:
        """Return what was held back, and hold back what follows for a second."""
        delta, self.held = self.held, None
        if delta is not None:
            self.next_at = now + SECONDS_BETWEEN_DELTAS
        return delta

    def count_from(self, n: int) -> None:
        """Take the number over that Redis has now; what comes up to it may still be on its way here."""
        if self.n is None or n > self.n:
            self.n = self.complete_after = n

    def missed(self, seen: Seen, epoch: str, now: float) -> frozenset[str]:
        """Return the ids changed since what a browser saw; `*` when that is further back than is remembered."""
        self.forget(now)
        if seen.n is not None:
            return self._missed_since_number(seen.n) if seen.epoch == epoch else frozenset((EVERYTHING,))
        if seen.age_seconds is None:
            return frozenset()
        since = now - seen.age_seconds
        if since < self.complete_since:
            return frozenset((EVERYTHING,))
        return condensed(one for one, (at, _) in self.recent.items() if at >= since)

    def forget(self, now: float) -> None:
        """Drop what is too old or too much to remember."""
        self.complete_since = max(self.complete_since, now - MEMORY_SECONDS)
        while self.recent:
            oldest, (at, n) = next(iter(self.recent.items()))
            if at >= self.complete_since and len(self.recent) <= MEMORY_IDS:
                return
            del self.recent[oldest]
            self.complete_since = max(self.complete_since, at)
            self.complete_after = max(self.complete_after or 0, n)

    def _remember(self, heard: Heard, now: float) -> None:
        for one in heard.ids:
            self.recent.pop(one, None)
            self.recent[one] = (now, heard.n)
        self.forget(now)

    def _missed_since_number(self, n: int) -> frozenset[str]:
        if n == self.n:
            return frozenset()
        if self.n is None or n > self.n or self.complete_after is None or n < self.complete_after:
            return frozenset((EVERYTHING,))
        return condensed(one for one, (_, number) in self.recent.items() if number > n)


def _merged(held: Delta, new: Delta) -> Delta:
    return Delta(held.first, new.last, condensed(held.ids | new.ids))
