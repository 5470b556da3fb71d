"""Identifiers."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.core.ids import has_valid_checksum, is_uuid, new_token, uuid7


def test_ids_of_one_process_are_in_order_and_distinct() -> None:
    ids = [uuid7() for _ in range(20_000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(value.version, value.variant) for value in ids} == {(7, "specified in RFC 4122")}


def test_ids_made_by_threads_at_once_are_distinct() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: uuid7(), range(5_000)))

    assert len(set(ids)) == 5_000


def test_id_tells_its_time_and_a_clock_that_steps_back_does_not_break_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.core.ids._last", 0)  # another test may have been in the future
    future = time.time_ns() + 60_000_000_000
    monkeypatch.setattr("apps.core.ids.time.time_ns", lambda: future)
    ahead = uuid7()
    monkeypatch.setattr("apps.core.ids.time.time_ns", lambda: future - 3_600_000_000_000)
    after = uuid7()

    assert ahead.int >> 80 == future // 1_000_000
    assert after > ahead


def test_token_with_a_typing_error_is_told_apart_without_the_database() -> None:
    token = new_token("obs_live_")
    wrong = token[:20] + ("a" if token[20] != "a" else "b") + token[21:]

    assert (len(token), has_valid_checksum(token), has_valid_checksum(wrong)) == (48, True, False)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0193e0a0-0000-7000-8000-000000000000", True),
        ("0193e0a0000070008000000000000000", True),
        ("0193e0a0", False),
        ("backup", False),
        ("", False),
    ],
)
def test_text_is_told_to_be_an_id(text: str, is_one: bool) -> None:
    assert is_uuid(text) is is_one
