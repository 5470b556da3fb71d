"""Single values of JSON as texts and numbers, as JavaScript writes and reads them, and the rules that compare those."""

import json

import pytest
from django.core.exceptions import ValidationError

from apps.checks.types.plain_values import plain_number, plain_text
from apps.checks.types.rule_lines import parse_json_rule


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"a"', "a"),
        ("true", "true"),
        ("false", "false"),
        ("2.0", "2"),
        ("-0.0", "0"),
        ("0.1", "0.1"),
        ("1e-6", "0.000001"),
        ("1.5e-7", "1.5e-7"),
        ("123456.789", "123456.789"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("5e-324", "5e-324"),
        ("12345678901234567890", "12345678901234567000"),
        ("1e999", None),
        ("9" * 400, None),
        ("null", None),
        ("[1]", None),
        ("{}", None),
    ],
)
def test_value_as_a_text(value: str, text: str | None) -> None:
    assert plain_text(json.loads(value)) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5.0),
        ("-0.5", -0.5),
        ("1e3", 1_000.0),
        ("05", None),
        (".5", None),
        ("5.", None),
        (" 5", None),
        ("0x5", None),
        ("٣", None),
        ("1e999", None),
        ("9" * 401, None),
        ("", None),
    ],
)
def test_text_as_a_number(text: str, number: float | None) -> None:
    assert plain_number(text) == number


@pytest.mark.parametrize(
    ("rule", "example"),
    [
        ("$.a count 3", "“count”: “count >= 3”"),
        ("$.a text 3", "“text”: “text == 2.0”"),
        ("$.a text ==", "“text”: “text == 2.0”"),
        ("$.a text > 3", "“text”: “text == 2.0”"),
        ("$.a number >= many", "“number”: “number >= 0.5”"),
        ("$.a number >= 1e999", "“number”: “number >= 0.5”"),
    ],
)
def test_rule_without_its_comparison_says_how_one_looks(rule: str, example: str) -> None:
    operator, _colon, sample = example.partition(": ")

    with pytest.raises(ValidationError) as refused:
        parse_json_rule(rule)

    assert refused.value.messages == [f"“{rule}”: after {operator} comes a comparison, such as {sample}."]
