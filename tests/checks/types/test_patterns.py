"""Regular expressions: what they find, and that none of them can blow up."""

import re
import time

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.types import patterns
from apps.checks.types.patterns import (
    MAX_LENGTH,
    SEARCH_SECONDS,
    PatternTooSlow,
    bounded_search,
    check_pattern,
    matches_glob,
)

MEBIBYTE = 1_048_576


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"version (\d+)\.", "now at version 12.4", "version 12."),
        (r"(?i)WELL", "all is well", "well"),
        (r"^b$", "a\nb", None),
        (r"(?m)^b$", "a\nb", "b"),
        (r"\bGrüße\b", "schöne Grüße!", "Grüße"),
        (r"ok(?! not)", "ok not, ok now", "ok"),
        (r"x", "", None),
    ],
)
def test_first_match_is_found(pattern: str, text: str, found: str | None) -> None:
    match = bounded_search(pattern, text)

    assert (match[0] if match else None) == found


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("a" * 1_001, "too_long"),
        ("(", "malformed"),
        ("*a", "malformed"),
        (r"\p{Nonsense}", "malformed"),
        ("a{2,1}", "malformed"),
        ("(?x)a {5}", "free_spacing"),
        ("(?i-sx:a)(?#c)", "free_spacing"),
        ("(?:(?:a?){1000}){1000}", "too_many_repeats"),
        ("(?:a{100}){100}", "too_many_repeats"),
        ("(?:a{99999999999999999999})", "too_many_repeats"),
        ("((a{ 40 }){,40}){ 2 , 40 }", "too_many_repeats"),
        ("(" * 400 + ")" * 400, "too_deep"),
    ],
)
def test_pattern_that_cannot_be_used_names_its_fault(pattern: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_pattern(pattern)

    assert caught.value.code == code
    assert "%(" not in caught.value.messages[0]


@pytest.mark.parametrize(
    "pattern",
    [r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"(?:\d{1,3}\.){3}\d{1,3}"],
)
def test_patterns_of_daily_life_are_taken(pattern: str) -> None:
    check_pattern(pattern)


def test_fault_names_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        check_pattern("abc[d")

    assert caught.value.messages == ["The pattern cannot be read: unterminated character set at position 5."]


@pytest.mark.parametrize(
    "pattern",
    [r"(?>a+)+[bc]", r"(a|aa)+$", r"(a?){30}a{30}[cd]", r"(a(?R)?b)", r"(a+)+[xz]", r"(?:.?){900}[zy]", r"(.+)\1+[xy]"],
)
def test_bomb_is_stopped_in_time(pattern: str) -> None:
    text = "a" * MEBIBYTE + "!"
    check_pattern(pattern)

    began = time.process_time()
    with pytest.raises(PatternTooSlow):
        bounded_search(pattern, text)

    assert time.process_time() - began < SEARCH_SECONDS * 5


def test_plain_pattern_of_a_large_answer_has_time_to_spare() -> None:
    text = "<div class='x'>status: all is well 12345</div>\n" * 22_000

    assert bounded_search(r"status: (?:failed|down) \d+", text) is None


def test_glob_that_is_too_long_is_not_answered_and_not_kept() -> None:
    patterns._compile_glob.cache_clear()

    assert matches_glob("?" * MAX_LENGTH, "a" * MAX_LENGTH)
    for glob in ("[a]" * 1_000, "?" * (MAX_LENGTH + 1)):
        with pytest.raises(PatternTooSlow):
            matches_glob(glob, "anything")
    assert patterns._compile_glob.cache_info().currsize == 1


@given(glob=st.text("ab*", max_size=9), text=st.text("ab", max_size=12))
def test_glob_of_letters_and_stars_matches_as_its_regular_expression_does(glob: str, text: str) -> None:
    assert matches_glob(glob, text) is (re.fullmatch(glob.replace("*", ".*"), text) is not None)


def test_glob_of_letters_and_stars_may_be_long_and_costs_little() -> None:
    token = "ab" * 2_000
    nearly = ("ab" * 1_999 + "aa") * 250

    began = time.process_time()
    assert matches_glob(f"*{token}*", nearly + token)
    assert not matches_glob(f"*{token}*", nearly)

    assert time.process_time() - began < SEARCH_SECONDS
