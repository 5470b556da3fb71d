"""JSONPath: what it finds, and that neither path nor document can make it blow up."""

import json
import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.checks.types.json_queries import BadJson, QueryTooSlow, check_path, find_values, read_json

SHOP: Any = {
    "store": {"books": [{"title": "Sand", "price": 8}, {"title": "Sea", "price": 12.5, "tags": ["a", "b"]}]},
    "it's": {"ok": True},
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.store.books[0].title", ["Sand"]),
        ("$.store.books[-1].price", [12.5]),
        ("$..title", ["Sand", "Sea"]),
        ("$.store.books[?@.price > 10].title", ["Sea"]),
        ("$.store.books[?search(@.title, '^S[ae]')].price", [8, 12.5]),
        ("$.store.books[?match(@.title, 'S')].price", []),
        ("$.store.books[?match(@.title, 'S|Sand')].price", [8]),
        ("$.store.books[?length(@.tags) == 2].title", ["Sea"]),
        ("$.store.books[?@.title == 'the $ of ?..']", []),
        ("$['it\\'s'].ok", [True]),
        ("$.none", [None]),
        ("$.nothing", []),
    ],
)
def test_values_are_found(path: str, values: list[Any]) -> None:
    check_path(path)

    assert find_values(path, SHOP) == values


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "malformed"),
        ("store", "malformed"),
        ("$.", "malformed"),
        ("$[", "malformed"),
        ("$[?nonsense(@)]", "malformed"),
        ("$[99999999999999999999]", "malformed"),
        ("$." + "a" * 500, "too_long"),
        ("$[?@..name]", "too_broad"),
        ("$[?@[?@.a]]", "too_broad"),
        ("$[?@.a == $.b]", "too_broad"),
    ],
)
def test_path_that_cannot_be_used_names_its_fault(path: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_path(path)

    assert caught.value.code == code


@pytest.mark.parametrize(
    "path",
    [
        "$..*",
        "$..*..*..*",
        "$[*][*,*,*,*,*,*,*,*]",
        "$..[?@.a || @.b]",
        "$..[?search(@.text, '(a|aa)+[xy]$')]",
        "$..[?match(@.text, '(?>a+)+[bc]')]",
    ],
)
def test_bomb_is_stopped_in_time(path: str) -> None:
    document = [{"text": "a" * 60, "list": [1, 2, [3, {"deep": [4]}]]} for _number in range(12_000)]
    document.append({"text": "a" * 200_000, "list": []})
    check_path(path)

    began = time.process_time()
    with pytest.raises(QueryTooSlow):
        find_values(path, document)

    assert time.process_time() - began < 2


def test_deep_document_is_refused() -> None:
    for text in (b"[" * 1_000_000, b'{"a":' * 200_000, b"[" * 500 + b"]" * 500):
        with pytest.raises(BadJson):
            find_values("$..a", read_json(text))


@pytest.mark.parametrize("text", [b"", b"<html>", b"\xff\xfe\xfd", b"{", b"1" * 5_000, b'{"a": 1}x'])
def test_what_is_no_json_is_said(text: bytes) -> None:
    with pytest.raises(BadJson, match="malformed"):
        read_json(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_every_unicode_encoding_is_read(encoding: str) -> None:
    assert read_json(json.dumps({"ü": "ß"}, ensure_ascii=False).encode(encoding)) == {"ü": "ß"}
