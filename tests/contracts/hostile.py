"""What no field should stumble over, as it stands in JSON: most of it is of the wrong type in most fields."""

import json
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")
LONG, MANY = 1_000_000, 3_000


def _quoted(*texts: str) -> tuple[str, ...]:
    return tuple(json.dumps(text, ensure_ascii=False) for text in texts)


# No JSON at all: in which field it stands, nobody can say.
NO_JSON = ("NaN", "-Infinity", "9" * 5_000)
NUMBERS = ("0", "-1", "1.5", "1e999", str(2**31), str(2**63), "1" + "0" * 400, "true", '"1"')
DATES = _quoted(
    *(
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59-12:00",
        "2030-02-30T00:00:00Z",
        "24:00",
    ),
    *("2026-03-29T02:30:00", "9999-12-31T23:59:59.9-14:00", "9999-12-31T23:59:59.999999Z"),
)
UNSTORABLE = ('"a\\u0000b"', '["\\ud800"]', '{"\\u0000": "x"}', '[{"a": "\\udfff"}]')
LISTS = (
    *("[]", "[[]]", "[null]", '[""]', '{"a": null}', "[5]", "[" * 50 + "]" * 50),
    '[{"a":' * 25 + "1" + "}]" * 25,
    json.dumps([str(UUID(int=number)) for number in range(MANY)]),
    json.dumps(["x" * LONG]),
    json.dumps({f"x{number}": "y" for number in range(MANY)}),
    json.dumps([{"name": "x", "value": "y"}] * MANY),
)
TEXTS = _quoted(
    *("", " ", "\u202egnp.exe\u2066\u200b\ufeff", "x" * LONG, "ß" * 300, "😀" * 20, "a\r\nb: c", "../../etc/passwd"),
    *(
        "\u200b",
        "<script>alert(1)</script>' or 1=1 --",
        "%s%n{0}{{7*7}}",
        "(a+)+$",
        "[" * 2_000,
        "9" * 5_000,
        "٣",
        "-1",
    ),
    *("https://[::1", "http://1.2.3.4:99999/", "javascript:alert(1)", "http://" + "a." * 5_000 + "x", "•••• masked"),
    *("Europe/../Berlin", "61 * * * *", "* * * * *", "x, x, X", "x" * 60),
)
ADDRESSES = _quoted(
    "x" * 249 + "@x.example", "x@" + "a." * 100 + "example", "\u202ex@x.example", "x@[::1]", "x@y\r\nBcc: z@x.example"
)
ANYTHING = ("null", *UNSTORABLE, *NUMBERS, *LISTS, *TEXTS, *ADDRESSES, *DATES)
BY_SHAPE = {
    "integer": NUMBERS,
    "boolean": ('"true"', "2", "[]"),
    "date-time": DATES,
    "email": ADDRESSES,
    "array": LISTS,
    "object": LISTS,
    "string": TEXTS,
}


def some_of(values: Sequence[T], turn: int, count: int) -> list[T]:
    """Return so many of them, the next turn those after them: over many fields all of them come."""
    return [values[(turn * count + place) % len(values)] for place in range(min(count, len(values)))]


def values_for(shape: str, turn: int, count: int = 3) -> list[str]:
    """Return hostile values for a field of that shape: some that are telling there, and some of all the others."""
    telling = BY_SHAPE.get(shape, TEXTS)
    telling = telling if shape in ("date-time", "email") else some_of(telling, turn, count)
    return list(dict.fromkeys([*telling, *some_of(ANYTHING, turn, 3)]))
