"""Secrets at rest open in their place only, with any of the installation's keys."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.core import secrets
from apps.core.secrets import SealBroken, derived_key, seal, unseal

OLD = "old:" + base64.urlsafe_b64encode(b"1" * 32).decode()
NEW = "new:" + base64.urlsafe_b64encode(b"2" * 32).decode()


@pytest.fixture(autouse=True)
def fresh_keys() -> Iterator[None]:
    secrets._keys.cache_clear()
    yield
    secrets._keys.cache_clear()


def test_sealed_text_is_different_every_time_and_opens() -> None:
    sealed = [seal("hush", place="channel:1") for _ in range(2)]

    assert sealed[0] != sealed[1]
    assert "hush" not in sealed[0]
    assert [unseal(text, place="channel:1") for text in sealed] == ["hush", "hush"]


@pytest.mark.parametrize(
    "change", [lambda s: s[:-2] + "AA", lambda s: "other." + s.split(".")[1], lambda _s: "", lambda _s: "derived.x"]
)
def test_altered_text_does_not_open(change: Any) -> None:
    with pytest.raises(SealBroken, match="the secret kept for channel:1 does not open"):
        unseal(change(seal("hush", place="channel:1")), place="channel:1")


def test_text_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(SealBroken):
        unseal(seal("hush", place="channel:1"), place="channel:2")


def test_newest_key_seals_and_older_ones_still_open(settings: Any) -> None:
    settings.SEALING_KEYS = [OLD]
    before = seal("hush", place="x")
    secrets._keys.cache_clear()
    settings.SEALING_KEYS = [NEW, OLD]

    after = seal("hush", place="x")

    assert (before.split(".")[0], after.split(".")[0]) == ("old", "new")
    assert (unseal(before, place="x"), unseal(after, place="x")) == ("hush", "hush")


@pytest.mark.parametrize("key", ["short:YWJj", "letters:%%%"])
def test_wrong_key_stops_with_the_mend(settings: Any, key: str) -> None:
    settings.SEALING_KEYS = [key]

    with pytest.raises(ImproperlyConfigured, match="SEALING_KEYS wants id:base64url-of-32-bytes"):
        seal("hush", place="x")


def test_derived_keys_are_the_same_each_time_and_of_one_purpose_owner_and_installation(settings: Any) -> None:
    first = derived_key("answers", owner=b"1")
    others = [derived_key("answers", owner=b"2"), derived_key("letters", owner=b"1")]
    same = derived_key("answers", owner=b"1")
    settings.SECRET_KEY = "another installation's"

    assert same == first
    assert len({first, *others, derived_key("answers", owner=b"1")}) == 4
    assert len(first) == 32
