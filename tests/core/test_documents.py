"""YAML and JSON from strangers: read as plain values, or refused with a place and a reason."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.documents import DocumentError, read_document, write_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, 2.5, null, true]", {"a": 1, "b": ["x", 2.5, None, True]}),
        (
            "a: on\nb: 22:30\nc: 2020-01-01\nd: 0o17\ne: '5'",
            {"a": "on", "b": "22:30", "c": "2020-01-01", "d": 15, "e": "5"},
        ),
        ("base: &b {x: 1, y: 2}\nmade: {<<: *b, y: 3}", {"base": {"x": 1, "y": 2}, "made": {"x": 1, "y": 3}}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ("{a: b}", {"a": "b"}),
        ("200: x", {"200": "x"}),
        ("", None),
    ],
)
def test_document_is_read(text: str, value: Any) -> None:
    assert read_document(text.encode()) == value


@pytest.mark.parametrize(
    ("raw", "path", "words"),
    [
        (b"a: 1\na: 2", "a", "twice"),
        (b"x: {b: 1, b: 2}", "x.b", "twice"),
        (b'{"a": 1, "a": 2}', "a", "twice"),
        (BOMB.encode(), "f[2]", "too large"),
        (b"a: &a [*a]", "a[0]", "refers to nothing"),
        (b"a: !!python/object/apply:os.system [ls]", "a", "not allowed"),
        (b"a: !secret x", "a", "not allowed"),
        (b"[" * 100_000, "", "64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "", "64 levels"),
        (b"- " * 70 + b"x", "[0]" * 65, "64 levels"),
        (b'a: "\\0"', "a", "null characters"),
        (b'{"a": NaN}', "", "NaN"),
        (b'{"a": 1e999}', "", "too large"),
        (b"\xff\xfe", "", "UTF-8"),
        (b"a: [", "", "Line 2"),
        (b"? [a, b]\n: 1", "", "plain text"),
        (b"a: 1\n---\nb: 2", "", "several documents"),
        (b"x" * 3_000_000, "", "2560 kB"),
    ],
)
def test_hurtful_document_is_refused_with_its_place(raw: bytes, path: str, words: str) -> None:
    began = time.process_time()

    with pytest.raises(DocumentError) as caught:
        read_document(raw)

    assert caught.value.path == path
    assert words in str(caught.value)
    assert time.process_time() - began < 2


@given(PLAIN)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read_document(write_yaml({"value": value}).encode()) == {"value": value}
    assert read_document(json.dumps({"value": value}).encode()) == {"value": value}


@pytest.mark.parametrize(
    "text", ["1e5", "0o17", "on", "22:30", "null", "~", "${SECRET:A}", "a: b", "- x", "line\nline\n", " x "]
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    assert read_document(write_yaml({"a": text}).encode()) == {"a": text}
