"""One topic: merging, gaps, catching up. No clock but the one given."""

import pytest

from apps.live.domain.feed import MEMORY_IDS, MEMORY_SECONDS, Delta, Feed, Seen
from apps.live.domain.wire import Heard


def message(n: int, *ids: str) -> Heard:
    return Heard("tenant:a", n, frozenset(ids))


def counted_from(n: int) -> Feed:
    feed = Feed()
    feed.count_from(n)
    return feed


def delta(first: int, last: int, *ids: str) -> Delta:
    return Delta(first, last, frozenset(ids))


def test_first_message_goes_at_once_the_following_are_merged():
    feed = counted_from(10)

    assert feed.hear(message(11, "check:1"), now=100.0) == delta(11, 11, "check:1")
    assert feed.hear(message(12, "check:2"), now=100.2) is None
    assert feed.hear(message(13, "check:1"), now=100.9) is None
    assert feed.next_at == 101.0
    assert feed.release(now=101.0) == delta(12, 13, "check:1", "check:2")
    assert feed.release(now=102.0) is None
    assert feed.hear(message(14, "check:3"), now=101.5) is None
    assert feed.hear(message(15, "check:4"), now=102.0) == delta(14, 15, "check:3", "check:4")


def test_gap_says_everything_even_when_merged():
    feed = counted_from(10)
    feed.hear(message(11, "check:1"), now=100.0)
    feed.hear(message(12, "check:2"), now=100.1)
    feed.hear(message(14, "check:4"), now=100.2)

    released = feed.release(now=101.0)

    assert released == delta(12, 14, "*")
    assert released.is_everything


def test_message_already_counted_by_redis_is_still_said_but_never_counts_back():
    feed = counted_from(10)

    assert feed.hear(message(9, "check:1"), now=100.0) == delta(9, 10, "check:1")
    assert feed.n == 10
    assert feed.hear(message(11, "check:2"), now=102.0) == delta(11, 11, "check:2")


def test_first_message_of_an_unknown_feed_is_no_gap():
    feed = Feed()

    assert feed.hear(message(500, "check:1"), now=100.0) == delta(500, 500, "check:1")


@pytest.mark.parametrize(
    ("seen", "missed"),
    [
        (Seen(epoch="e", n=13), set()),
        (Seen(epoch="e", n=12), {"check:3"}),
        (Seen(epoch="e", n=10), {"check:1", "check:2", "check:3"}),
        (Seen(epoch="e", n=9), {"*"}),
        (Seen(epoch="e", n=99), {"*"}),
        (Seen(epoch="old", n=13), {"*"}),
        (Seen(age_seconds=1.5), {"check:3"}),
        (Seen(age_seconds=0.0), set()),
        (Seen(age_seconds=12.0), {"check:1", "check:2", "check:3"}),
        (Seen(age_seconds=21.0), {"*"}),
        (Seen(age_seconds=3600.0), {"*"}),
        (Seen(), set()),
    ],
)
def test_catching_up(seen: Seen, missed: set[str]):
    feed = Feed(complete_since=90.0)
    feed.count_from(10)
    for n, now in ((11, 100.0), (12, 105.0), (13, 109.0)):
        feed.hear(message(n, f"check:{n - 10}"), now=now)

    assert feed.missed(seen, "e", now=110.0) == missed


def test_nothing_is_remembered_for_ever():
    feed = counted_from(10)
    feed.hear(message(11, "check:1"), now=100.0)
    feed.hear(message(12, "check:2"), now=120.0)

    now = 100.0 + MEMORY_SECONDS + 1

    assert feed.missed(Seen(epoch="e", n=11), "e", now) == {"check:2"}
    assert feed.missed(Seen(epoch="e", n=10), "e", now) == {"*"}
    assert list(feed.recent) == ["check:2"]


def test_memory_is_bounded_in_a_storm():
    feed = counted_from(0)
    for n in range(1, 2 * MEMORY_IDS):
        feed.hear(message(n, f"check:{n}"), now=100.0 + n / 1000)

    assert len(feed.recent) == MEMORY_IDS
    assert feed.missed(Seen(epoch="e", n=MEMORY_IDS - 2), "e", now=102.0) == {"*"}
    assert feed.missed(Seen(epoch="e", n=2 * MEMORY_IDS - 3), "e", now=102.0) == {
        f"check:{2 * MEMORY_IDS - n}" for n in (1, 2)
    }


def test_the_same_ids_over_and_over_take_no_memory():
    feed = counted_from(0)
    for n in range(1, 5_000):
        feed.hear(message(n, "check:1"), now=100.0)

    assert len(feed.recent) == 1
    assert feed.missed(Seen(epoch="e", n=0), "e", now=100.0) == {"check:1"}


def test_number_from_redis_that_runs_ahead_distrusts_what_is_on_its_way():
    feed = Feed(complete_since=90.0)
    feed.count_from(8)
    feed.hear(message(8, "check:8"), now=100.0)

    assert feed.missed(Seen(epoch="e", n=7), "e", now=100.0) == {"*"}
    assert feed.missed(Seen(epoch="e", n=8), "e", now=100.0) == set()
    assert feed.missed(Seen(age_seconds=5), "e", now=100.0) == {"check:8"}


def test_gap_makes_older_memory_worthless():
    feed = counted_from(10)
    feed.hear(message(11, "check:1"), now=100.0)
    feed.hear(message(13, "check:3"), now=101.0)

    assert feed.missed(Seen(epoch="e", n=11), "e", now=102.0) == {"*"}
    assert feed.missed(Seen(epoch="e", n=12), "e", now=102.0) == {"check:3"}
    assert feed.missed(Seen(age_seconds=1.5), "e", now=102.0) == {"*"}
