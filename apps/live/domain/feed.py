"""One topic as one process sees it: its number, what was heard lately, what is held back to merge (no I/O)."""

from collections import deque
from dataclasses import dataclass, field

from apps.live.domain.wire import EVERYTHING, Heard, condensed

SECONDS_BETWEEN_DELTAS = 1.0
HISTORY_SECONDS = 30.0
HISTORY_MESSAGES = 500


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
    """Merge a topic's messages into at most one delta a second and remember the last half minute."""

    n: int | None = None
    complete_since: float = 0.0
    next_at: float = 0.0
    held: Delta | None = None
    history: deque[tuple[float, Heard]] = field(default_factory=deque)

    def hear(self, heard: Heard, now: float) -> Delta | None:
        """Take a message in; return the delta to send now, or None when it is held back until `next_at`."""
        has_gap = self.n is not None and heard.n > self.n + 1
        # A smaller number is no step back: Redis was asked for the number while this message was on its way.
        self.n = max(heard.n, self.n or 0)
        self._remember(heard, now, has_gap=has_gap)
        delta = Delta(heard.n, self.n, frozenset((EVERYTHING,)) if has_gap else heard.ids)
        self.held = delta if self.held is None else _merged(self.held, delta)
        return self.release(now) if now >= self.next_at else None

    def release(self, now: float) -> Delta | None:
        """Return what was held back, and hold back what follows for a second."""
        delta, self.held = self.held, None
        if delta is not None:
            self.next_at = now + SECONDS_BETWEEN_DELTAS
        return delta

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
        return condensed(one for at, heard in self.history if at >= since for one in heard.ids)

    def forget(self, now: float) -> None:
        """Drop what is older than the remembered half minute."""
        while self.history and (self.history[0][0] < now - HISTORY_SECONDS or len(self.history) > HISTORY_MESSAGES):
            self.complete_since = max(self.complete_since, self.history.popleft()[0])
        self.complete_since = max(self.complete_since, now - HISTORY_SECONDS)

    def _remember(self, heard: Heard, now: float, *, has_gap: bool) -> None:
        if has_gap:
            self.history.clear()
            self.complete_since = now
        self.history.append((now, heard))
        self.forget(now)

    def _missed_since_number(self, n: int) -> frozenset[str]:
        if n == self.n:
            return frozenset()
        if not self.history or n > (self.n or 0) or n + 1 < self.history[0][1].n:
            return frozenset((EVERYTHING,))
        return condensed(one for _, heard in self.history if heard.n > n for one in heard.ids)


def _merged(held: Delta, new: Delta) -> Delta:
    return Delta(held.first, new.last, condensed(held.ids | new.ids))
