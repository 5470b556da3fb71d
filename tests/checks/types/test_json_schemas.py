"""JSON Schema: what it finds, and that neither schema nor document can make it blow up."""

import json
import time
from contextlib import suppress
from typing import Any

import hypothesis
import pytest
from django.core.exceptions import ValidationError
from hypothesis import strategies as st

from apps.checks.types.json_queries import BadJson, read_json
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


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("factor", "number", "fits"),
    [
        ("3", "9", True),
        ("3", "10", False),
        ("0.5", "1.5", True),
        ("0.5", "1.25", False),
        ("3", "1e999", False),
        ("0.5", "-1e999", False),
        ("0.5", HUGE, True),
        ("0.3", HUGE, False),
        ("1e-308", "1e308", False),
        ("5e-324", "1", True),
        (HUGE, "1.5", False),
        ("1e999", "1", False),
        ("1e999", HUGE, False),
    ],
    ids=lambda value: str(value)[:10],
)
@pytest.mark.parametrize("keyword", ["multipleOf", "divisibleBy"])
def test_multiples_of_any_size(keyword: str, factor: str, number: str, fits: bool) -> None:
    draft = "http://json-schema.org/draft-03/schema#" if keyword == "divisibleBy" else ""
    schema = f'{{"$schema": "{draft}", "{keyword}": {factor}}}' if draft else f'{{"{keyword}": {factor}}}'
    check_schema(schema)

    assert (first_violation(schema, json.loads(number)) == "") is fits


@pytest.mark.parametrize("text", ["NaN", "[1, Infinity]", '{"a": -Infinity}'])
def test_numbers_that_json_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(BadJson):
        read_json(text.encode())
    with pytest.raises(ValidationError):
        check_schema(f'{{"enum": [{text}]}}')


DRAFTS = [
    "http://json-schema.org/draft-03/schema#",
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
NUMBERS = (
    st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63])
    | st.floats(allow_nan=False)  # JSON's 1e999 is read as infinite
)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.sampled_from("abc"), parts, max_size=3),
    max_leaves=8,
)
PLAIN = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBERS | st.booleans()),
    **dict.fromkeys(("multipleOf", "divisibleBy"), NUMBERS),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), NUMBERS),
    **dict.fromkeys(("minContains", "maxContains"), NUMBERS),
    **dict.fromkeys(("const", "default"), DOCUMENTS),
    "enum": st.lists(DOCUMENTS, min_size=1, max_size=3),
    "uniqueItems": st.booleans(),
    "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True) | st.booleans(),
    "pattern": st.sampled_from(["^a", "[0-9]+$", "é"]),
    "type": st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"]),
}


def _nested(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from("abc"), parts, max_size=2)
    several = st.lists(parts, min_size=1, max_size=2)
    one = (
        "additionalProperties",
        "propertyNames",
        "contains",
        "not",
        "if",
        "then",
        "else",
        "additionalItems",
        "disallow",
    )
    keywords: dict[str, Any] = {
        **PLAIN,
        **dict.fromkeys(one, parts),
        **dict.fromkeys(("items", "extends"), parts | several),
        **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), parts),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), several),
        **dict.fromkeys(("properties", "patternProperties", "dependencies", "dependentSchemas"), named),
    }
    return st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: keywords[name] for name in names})
    )


SINGLE = st.sampled_from(sorted(PLAIN)).flatmap(lambda name: st.fixed_dictionaries({name: PLAIN[name]}))
SCHEMAS = SINGLE | st.recursive(SINGLE | st.fixed_dictionaries({}, optional=PLAIN), _nested, max_leaves=4)


@hypothesis.settings(
    max_examples=150, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), derandomize=True
)
@hypothesis.given(draft=st.sampled_from(DRAFTS), schema=SCHEMAS, document=DOCUMENTS)
def test_whatever_the_schema_says_of_whatever_document_is_an_answer(draft: str, schema: Any, document: Any) -> None:
    text = json.dumps({**schema, "$schema": draft}).replace("Infinity", "1e999")
    document = read_json(json.dumps(document).replace("Infinity", "1e999").encode())
    try:
        check_schema(text)
    except ValidationError:
        hypothesis.reject()

    with suppress(SchemaTooSlow):
        assert isinstance(first_violation(text, document), str)
