"""Our documents against those of pymongo, and against broken ones."""

import datetime
import re
import struct
from typing import Any

import bson
import pytest

from apps.checks.types.bson import BadDocument, decode, encode


def test_documents_are_those_of_pymongo() -> None:
    document: dict[str, Any] = {"hello": 1, "né": "größe", "yes": True, "raw": b"\0\1", "deep": {"a": {}}, "n": -7}

    assert encode(document) == bson.encode(document)


def test_every_type_is_read_or_passed_over() -> None:
    document: dict[str, Any] = {
        "double": 1.5,
        "text": "größe",
        "list": [1, "two", {"three": 3}],
        "raw": b"\0\1",
        "id": bson.ObjectId(),
        "no": False,
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "null": None,
        "pattern": re.compile("a.b", re.IGNORECASE),
        "symbol": "x",
        "int": 5,
        "stamp": bson.Timestamp(1, 2),
        "long": bson.Int64(2**40),
        "decimal": bson.Decimal128("1.5"),
        "min": bson.MinKey(),
        "max": bson.MaxKey(),
        "end": "here",
    }

    found = decode(bson.encode(document))

    passed_over = {"id", "when", "null", "pattern", "stamp", "decimal", "min", "max"}
    assert {name for name, value in found.items() if value is None} == passed_over
    assert {name: value for name, value in found.items() if value is not None} == {
        name: value for name, value in document.items() if name not in passed_over
    }


def nested(depth: int) -> bytes:
    document: dict[str, Any] = {}
    for _level in range(depth):
        document = {"a": document}
    return bson.encode(document)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05\0\0\0",
        b"\x05\0\0\0\1",
        b"\xff\xff\xff\x7f\0",
        b"\xff\xff\xff\xff\0",
        b"\x0c\0\0\0\x02a\0\xff\xff\xff\x7f\0",
        b"\x0c\0\0\0\x02a\0\xff\xff\xff\xff\0",
        b"\x08\0\0\0\x63a\0\0",
        b"\x0e\0\0\0\x02a\0\x02\0\0\0\xff\0\0",
        b"\x07\0\0\0\x10aa",
        struct.pack("<i", 20) + b"\x10aaaaaaaaaaaaaaa",
        nested(22),
        bson.encode({"a": list(range(5_001))}),
    ],
)
def test_broken_documents_are_refused(data: bytes) -> None:
    with pytest.raises(BadDocument):
        decode(data)


def test_depth_is_bounded_and_not_less_than_needed() -> None:
    assert decode(nested(20)) != {}
