"""Expected statuses as people write them."""

import pytest
from django.core.exceptions import ValidationError

from apps.checks.types.status_set import parse_status_set


@pytest.mark.parametrize(
    ("expression", "ranges"),
    [
        ("200", ((200, 200),)),
        ("200-299", ((200, 299),)),
        ("2xx", ((200, 299),)),
        ("5XX", ((500, 599),)),
        (" 200 - 204 ,301,, 4xx ", ((200, 204), (301, 301), (400, 499))),
    ],
)
def test_expression_becomes_ranges(expression: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_status_set(expression).ranges == ranges


def test_membership_includes_both_ends() -> None:
    statuses = parse_status_set("200-204, 301")

    assert [status for status in (199, 200, 204, 205, 300, 301, 302) if status in statuses] == [200, 204, 301]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("", "empty"),
        (" , ", "empty"),
        ("ok", "malformed"),
        ("99", "malformed"),
        ("600", "malformed"),
        ("200-", "malformed"),
        ("-200", "malformed"),
        ("200-299-300", "malformed"),
        ("6xx", "malformed"),
        ("２００", "malformed"),
        ("299-200", "backwards"),
    ],
)
def test_wrong_expression_names_its_fault(expression: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_status_set(expression)

    assert caught.value.code == code
