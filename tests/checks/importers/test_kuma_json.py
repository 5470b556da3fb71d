"""Uptime Kuma's JSON queries: what comes over judges answers as it does, and what could not does not come over."""

import json
from typing import Any

import pytest

from apps.checks.importers.base import Found
from apps.checks.importers.registry import IMPORTERS
from apps.checks.types.answers import Answer
from apps.checks.types.assertions import json_keeps
from apps.core.http.curl import Reply


def brought(**monitor: Any) -> Found:
    row = {"id": 1, "name": "One", "type": "json-query", "url": "https://a.example/", "expectedValue": "1", **monitor}
    return IMPORTERS.get("uptime_kuma").read(json.dumps({"monitorList": [row]}).encode())


def rule_of(**monitor: Any) -> str:
    (check,) = brought(**monitor).checks
    (rule,) = check["config"]["json_rules"]
    return str(rule)


def refusal_of(**monitor: Any) -> str:
    found = brought(**monitor)
    assert found.checks == []
    return next(str(loss.reason) for loss in found.losses if loss.is_whole)


def is_up(rule: str, body: str) -> bool:
    reply = Reply(None, 200, "1.1", "", body.encode(), False, "application/json", "", None, 0, 0, 0, 0, 0, 0)
    return not json_keeps(rule)(Answer(reply, 1.0)).code


@pytest.mark.parametrize(
    ("operator", "expected", "value", "up"),
    [
        (None, "ok", '"ok"', True),
        (None, "2.0", '"2.0"', True),  # which was read as a number
        (None, "2.0", "2.0", False),  # which JavaScript writes as 2
        (None, "2", "2.0", True),
        (None, "2", '"2"', True),
        (None, "true", "true", True),
        (None, "true", '"true"', True),
        (None, "True", "true", False),
        (None, "null", "null", False),
        (None, "null", '"null"', True),
        (None, "", '""', True),
        (None, " a ", '" a "', True),
        (None, '"a"', '"\\"a\\""', True),
        (None, '"a"', '"a"', False),
        (None, "two\nlines", '"two\\nlines"', True),
        (None, "[1]", "[1]", False),
        ("==", "0.0000001", "1e-7", False),
        ("==", "1e-7", "0.0000001", True),
        ("==", "12345678901234567000", "12345678901234567890", True),
        ("!=", "down", '"up"', True),
        ("!=", "down", '"down"', False),
        ("!=", "1", "2", True),
        ("!=", "1", '"1"', False),
        ("!=", "x", "null", False),  # nothing, a list and an object are a fault there, whatever is asked
        ("!=", "x", '["y"]', False),
        ("!=", "x", "{}", False),
        ("contains", "ea", '"healthy"', True),
        ("contains", "ea", '"dead"', True),
        ("contains", "ea", '"gone"', False),
        ("contains", "2", "123", True),
        ("contains", "ea", '["ea"]', False),
        (">", "3", "5", True),
        (">", "3", '"5"', True),  # which was no number
        (">", "10", '"9"', False),
        (">=", "0.5", "0.5", True),
        ("<", "-1", "-2", True),
        ("<=", "1e3", '"1000"', True),
        (">", "3", '"many"', False),
        (">", "0", "true", False),
        (">", "0", "null", False),
        (">", "0", "[1]", False),
    ],
)
def test_query_judges_as_it_did(operator: str | None, expected: str, value: str, up: bool) -> None:
    given = {"jsonPathOperator": operator} if operator else {}  # the series 1 knows equality alone

    rule = rule_of(jsonPath="a.b", expectedValue=expected, **given)

    assert is_up(rule, f'{{"a": {{"b": {value}}}}}') is up
    assert not is_up(rule, "{}")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("version", "$.version"),
        ("$.version", "$.version"),
        ("$$.a . b", "$.a.b"),
        ("$[0].state", "$[0].state"),
        ("items[ -1 ].name", "$.items[-1].name"),
        ("`time-stamp`.`it's`", "$['time-stamp']['it\\'s']"),
        ("größe.x1", "$['größe'].x1"),
    ],
)
def test_path_is_written_as_ours(query: str, path: str) -> None:
    assert rule_of(jsonPath=query) == f"{path} text == 1"


@pytest.mark.parametrize(
    ("query", "may_step"),
    [
        ("items.name", True),
        ("$[0].a.b", True),
        ("a[0].`it's.b`[1].`c d`", False),
        ("a[0].`it's.b`.`c d`", True),
        ("größe.x", True),
        ("status", False),
    ],
)
def test_path_that_may_go_through_a_list_is_named(query: str, may_step: bool) -> None:
    said = [str(loss.reason) for loss in brought(jsonPath=query).losses if loss.name == "One"]

    assert said == (
        ["Its query finds nothing here where it goes through a list without naming a place in it, such as [0]."]
        if may_step
        else []
    )


@pytest.mark.parametrize(
    "query",
    [
        "$count(items)",
        "items[state='up'].name",
        "a + b",
        "some-name",
        "items.*.name",
        "[0].a",
        "true",
        "a.b[]",
        "'text'",
        "$v",
        "a..b",
        "a.",
        "a b",
    ],
)
def test_query_that_is_more_than_a_path_is_reported_and_not_made(query: str) -> None:
    assert refusal_of(jsonPath=query) == f"Its query “{query}” does more than name a place; no rule here says that."


@pytest.mark.parametrize(
    ("monitor", "reason"),
    [
        ({"expectedValue": None}, "It expects no value."),
        ({"jsonPathOperator": ">", "expectedValue": "many"}, "It compares numbers, and “many” is none."),
        ({"jsonPathOperator": "=~"}, "Its comparison “=~” is not known here."),
        ({"expectedValue": "x" * 5_000}, "What it expects is too long for a rule here."),
        (
            {"jsonPath": "$"},
            "It compares the whole answer, which need not be JSON there. Use a keyword or a pattern here.",
        ),
        (
            {"jsonPath": None},
            "It compares the whole answer, which need not be JSON there. Use a keyword or a pattern here.",
        ),
    ],
)
def test_what_no_rule_says_is_reported_and_not_made(monitor: dict[str, Any], reason: str) -> None:
    assert refusal_of(**{"jsonPath": "a", **monitor}) == reason


def test_whole_answer_may_be_a_number_to_compare() -> None:
    rule = rule_of(jsonPath="$", jsonPathOperator="<", expectedValue="10")

    assert [is_up(rule, body) for body in ("9", '"9"', "10", "nine", "[9]")] == [True, True, False, False, False]
