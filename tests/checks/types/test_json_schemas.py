"""JSON Schema: what it finds, and that neither schema nor document can make it blow up."""

import json
import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.checks.types.json_schemas import SchemaTooSlow, check_schema, first_violation


def violation(schema: Any, document: Any) -> str:
    text = json.dumps(schema)
    check_schema(text)
    return first_violation(text, document)


NAMED = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "minimum": 1}}}


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        (NAMED, {"id": 3}, ""),
        (NAMED, {"id": "3"}, "$.id: '3' is not of type 'integer'"),
        (NAMED, {}, "$: 'id' is a required property"),
        ({"pattern": "^a+$"}, "aab", "$: 'aab' does not match '^a+$'"),
        ({"pattern": "^a+$"}, "aa", ""),
        ({"patternProperties": {"^x": {"type": "string"}}}, {"x1": 5}, "$.x1: 5 is not of type 'string'"),
        (
            {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False},
            {"a": 1, "x1": 2, "b": 3},
            "$: 'b' is not among the named properties",
        ),
        ({"additionalProperties": {"type": "string"}}, {"a": 1}, "$.a: 1 is not of type 'string'"),
        ({"uniqueItems": True}, [1, True, "1", [1]], ""),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], "$: an entry occurs twice"),
        (
            {"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}},
            [1, "x"],
            "$[1]: 'x' is not of type 'integer'",
        ),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}, 2, "$: 1 was expected"),
    ],
)
def test_first_violation_is_named(schema: Any, document: Any, expected: str) -> None:
    assert violation(schema, document) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "json"),
        ("[" * 100_000, "json"),
        ("5", "object"),
        ('{"type": "nonsense"}', "schema"),
        ('{"pattern": "("}', "malformed"),
        ('{"patternProperties": {"(?:(?:a?){1000}){1000}": {}}}', "too_many_repeats"),
        ('{"$ref": "https://example.com/schema.json"}', "remote"),
        ('{"allOf": [{"$ref": "file:///etc/passwd"}]}', "remote"),
        ('{"not":' * 50 + "{}" + "}" * 50, "deep"),
        ('{"unevaluatedProperties": false, "patternProperties": {}}', "unsupported"),
    ],
)
def test_schema_that_cannot_be_used_names_its_fault(text: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_schema(text)

    assert caught.value.code == code


def test_no_schema_is_no_fault() -> None:
    check_schema("  ")


DOUBLING = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(30)}


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"$defs": {**DOUBLING, "d30": {}}, "$ref": "#/$defs/d0"}, 1),
        ({"$ref": "#"}, 1),
        ({"$ref": "#/$defs/missing"}, 1),
        ({"items": {"enum": [f"name{number}" for number in range(4_000)] + ["x"]}}, ["x"] * 20_000),
        ({"uniqueItems": True}, [{"a": number} for number in range(50_000)]),
        ({"items": {"pattern": "(a|aa)+[xy]$"}}, ["a" * 50_000]),
        ({"patternProperties": {f"{number}$": {} for number in range(200)}}, {str(n): n for n in range(50_000)}),
        ({"items": {"type": "string"}}, ["x"] * 300_000),
    ],
)
def test_bomb_is_stopped_in_time(schema: Any, document: Any) -> None:
    began = time.process_time()
    with pytest.raises(SchemaTooSlow):
        violation(schema, document)

    assert time.process_time() - began < 3
