"""Shapes of JSON: what counts as another one, and what does not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.types import shapes
from apps.checks.types.shapes import CUT, MAX_PARTS, differences, digest, fitted, shape_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def changes(before: Any, after: Any) -> list[str]:
    return [str(change) for change in differences(shape_of(before), shape_of(after))]


def test_shape_names_keys_and_types() -> None:
    document = {
        "id": 7,
        "ratio": 0.5,
        "is_new": True,
        "name": "x",
        "nothing": None,
        "tags": ["a", "b"],
        "lines": [{"sku": "a", "count": 1}, {"sku": None, "note": "x"}],
        "mixed": [1, "a"],
        "empty": [],
    }

    assert shape_of(document) == {
        "id": "number",
        "ratio": "number",
        "is_new": "boolean",
        "name": "string",
        "nothing": "null",
        "tags": ["string"],
        "lines": [{"sku": "string", "count": "number", "note": "string"}],
        "mixed": ["number|string"],
        "empty": [],
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 2}, []),
        ({"a": 1}, {"a": "1"}, ["$.a: number → string"]),
        ({"a": 1}, {"a": 1, "b": "x"}, ["+ $.b: string"]),
        ({"a": 1, "b": []}, {"a": 1}, ["− $.b: array"]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": [1]}}}, ["$.a.b.c: number → array"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, ["$.a[].b: number → boolean"]),
        ([1], ["1"], ["$[]: number → string"]),
        ({}, [], ["$: object → array"]),
        ({"a": [1, "x"]}, {"a": [1]}, []),  # fits
        ({"a": [1]}, {"a": [1, "x"]}, ["$.a[]: number → number|string"]),
        # Data comes and goes without the interface changing.
        ({"a": None}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1}}, {"a": None}, []),
        ({"a": []}, {"a": [{"b": 1}]}, []),
        ({"a": [{"b": 1}]}, {"a": []}, []),
        ({"a": [{"b": 1}, {"b": None}]}, {"a": [{"b": 1}]}, []),
    ],
)
def test_differences(before: Any, after: Any, expected: list[str]) -> None:
    assert changes(before, after) == expected


def test_large_shape_is_cut_and_still_tells_changes() -> None:
    document = {f"key{number}": {"inner": {f"leaf{part}": 1 for part in range(10)}} for number in range(60)}
    shape = shape_of(document)
    small = fitted(shape, 2_000)
    assert small != shape
    assert len(json.dumps(small)) <= 2_000

    document["key7"]["inner"]["leaf3"] = "text"  # type: ignore[assignment]
    after = shape_of(document)

    assert list(differences(small, shape)) == []
    assert [change.where for change in differences(small, after)] == ["$.key7"]


def test_shape_that_never_fits_becomes_a_digest() -> None:
    shape = shape_of({f"a key of some length {number}": 1 for number in range(5_000)})

    assert fitted(shape, 2_000) == digest(shape)
    assert list(differences(digest(shape), shape)) == []


def test_long_keys_stay_apart() -> None:
    shape = shape_of({"x" * 100 + "a": 1, "x" * 100 + "b": 1, "nul\x00": 1})

    assert len(shape) == 3
    assert all(len(key) < 80 and "\x00" not in key for key in shape)


def test_deep_document_is_not_followed_forever() -> None:
    document: Any = 1
    for _level in range(900):
        document = {"a": [document]}

    assert len(json.dumps(shape_of(document))) < 200


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"a": 1, "b": dict.fromkeys(map(str, range(MAX_PARTS)), 1)}, {"a": "number", "b": "object"}),
        ([dict.fromkeys(map(str, range(MAX_PARTS)), 1)], ["object", CUT]),
        (
            [dict.fromkeys(map(str, range(MAX_PARTS - 9)), [1] * 50)],
            [dict.fromkeys(map(str, range(MAX_PARTS - 9)), "array"), CUT],
        ),
        ([[[{"a": [1] * 50}] * 50] * 50] * 50, [[[{"a": ["number"]}], CUT], CUT]),
    ],
)
def test_document_with_very_many_parts_is_not_read_to_its_end(
    document: Any, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[None] = []
    real = shapes._merged
    monkeypatch.setattr(shapes, "_merged", lambda one, other: merged.append(None) or real(one, other))

    assert shape_of(document) == shape
    assert len(merged) < MAX_PARTS


def test_what_comes_after_a_part_that_is_too_large_is_watched() -> None:
    large = dict.fromkeys(map(str, range(MAX_PARTS + 1_000)), 1)

    shape = shape_of({"big": large, "status": {"a": 1}, "list": [large, {"b": 1}, large, {"c": [1]}]})

    element = {"b": "number", "c": ["number"]}
    assert shape == {"big": "object", "status": {"a": "number"}, "list": [element, CUT]}


def test_keys_of_a_list_that_was_cut_short_are_not_gone() -> None:
    large = dict.fromkeys(map(str, range(MAX_PARTS)), 1)
    short, whole = shape_of({"l": [{"a": 1}, {"b": large}], "m": 1}), shape_of({"l": [{"a": 1, "b": 1}], "m": 1})

    assert short == {"l": [{"a": "number"}, CUT], "m": "number"}
    assert list(differences(whole, short)) == []
    assert list(differences(short, whole)) == []
    assert list(map(str, differences(whole, shape_of({"l": [{"a": "x"}, {"b": large}]})))) == [
        "$.l[].a: number → string",
        "− $.m: number",
    ]


@pytest.mark.parametrize(
    "large", [dict.fromkeys(map(str, range(MAX_PARTS)), 1), [dict.fromkeys(map(str, range(MAX_PARTS - 1)), 1)]]
)
@pytest.mark.parametrize("of_approved", [digest, lambda shape: shape], ids=["digest", "shape"])
def test_part_that_is_read_no_longer_does_not_differ(large: Any, of_approved: Any) -> None:
    approved = {"a": of_approved(shape_of(large)), "b": "number"}

    found = shape_of({"a": large, "b": 1})

    assert found["b"] == "number"
    assert list(differences(approved, found)) == []


def test_document_with_as_many_parts_as_are_read_is_told_key_by_key() -> None:
    before = dict.fromkeys(map(str, range(MAX_PARTS)), 1)

    changes = differences(shape_of(before), shape_of({**before, "7": "text"}))

    assert list(map(str, changes)) == ["$.7: number → string"]


@given(JSON)
def test_nothing_differs_from_itself(document: Any) -> None:
    shape = shape_of(document)

    assert list(differences(shape, shape)) == []
    for size in (0, 40, 200):
        assert list(differences(fitted(shape, size), shape)) == []


@given(JSON, JSON)
def test_any_two_can_be_compared(before: Any, after: Any) -> None:
    for change in differences(shape_of(before), shape_of(after)):
        assert change.where.startswith("$")
        assert change.before != change.after
