"""Graceful goodbyes are taken out of what an HTTP/2 server sends, however it comes in."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.types.goaway import LONGEST, MOST, Goodbyes

OURS = 3


def frame(kind: int, payload: bytes, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, 0]) + struct.pack(">I", stream) + payload


def goodbye(last: int, code: int = 0, words: bytes = b"", stream: int = 0) -> bytes:
    return frame(7, struct.pack(">II", last, code) + words, stream)


def passed(stream: bytes, sizes: list[int]) -> bytes:
    """What is left of a stream that comes in bites of these sizes, over and over."""
    goodbyes, left, number = Goodbyes(OURS), b"", 0
    while stream:
        size = sizes[number % len(sizes)]
        left, stream, number = left + goodbyes.taken_out(stream[:size]), stream[size:], number + 1
    return left


@pytest.mark.parametrize(
    "said",
    [
        goodbye(1),
        goodbye(OURS, code=2),
        goodbye(OURS, stream=5),
        goodbye(OURS, words=b"x" * LONGEST),
        frame(7, b"short"),
        frame(7, b""),
        frame(0, struct.pack(">II", OURS, 0)),
    ],
)
def test_other_frames_pass_as_they_are(said: bytes) -> None:
    assert passed(said, [1]) == passed(said, [len(said)]) == said


@pytest.mark.parametrize("last", [OURS, OURS + 2, 2**31 - 1, 2**31 + OURS])
def test_graceful_goodbye_is_taken_out(last: int) -> None:
    around = frame(4, b""), frame(1, b"x" * 300, OURS)

    assert passed(around[0] + goodbye(last, words=b"max_age") + around[1], [7]) == b"".join(around)


def test_goodbyes_without_end_are_no_longer_taken_out() -> None:
    assert passed(goodbye(OURS) * (MOST + 2), [5]) == goodbye(OURS) * 2


FRAMES = st.one_of(
    st.builds(frame, st.sampled_from([0, 1, 4, 6, 7, 9]), st.binary(max_size=60), st.integers(0, 5)),
    st.just(goodbye(1)),
)


@given(parts=st.lists(FRAMES, max_size=8), at=st.integers(0, 8), sizes=st.lists(st.integers(1, 40), min_size=1))
def test_any_frames_in_any_bites_lose_nothing_but_the_goodbye(parts: list[bytes], at: int, sizes: list[int]) -> None:
    parts = [part for part in parts if part[3] != 7 or part == goodbye(1)]

    assert passed(b"".join([*parts[:at], goodbye(OURS), *parts[at:]]), sizes) == b"".join(parts)
