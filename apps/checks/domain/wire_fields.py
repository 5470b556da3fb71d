"""Reading JSON that came over the wire, value by value: each reader returns what it promises or raises `WireError`."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_DEPTH = 12
HEX = re.compile(r"[0-9a-f]{32}")  # an id or a nonce


class WireError(ValueError):
    """What came in is not what was agreed on; ``field`` says where, ``problem`` what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def load(body: bytes) -> dict[str, Any]:
    """Read a body; anything but an object of finite numbers is refused."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError("body", "must be JSON") from error
    if not isinstance(value, dict):
        raise WireError("body", "must be a JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


Reader = Callable[[object, str], Any]


@dataclass(frozen=True, slots=True)
class WireField:
    """One place of a row: its name, how it is read and how written."""

    name: str
    read: Reader
    write: Callable[[Any], Any] = lambda value: value


def to_wire_time(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def read_list(value: object, field: str, at_most: int) -> list[Any]:
    if not isinstance(value, list):
        raise WireError(field, "must be a list")
    if len(value) > at_most:
        raise WireError(field, f"must have at most {at_most} entries")
    return value


def read_row(row: object, fields: Sequence[WireField], where: str) -> dict[str, Any]:
    if not isinstance(row, list) or len(row) != len(fields):
        raise WireError(where, f"must be a list of {len(fields)}")
    return {field.name: field.read(value, f"{where}.{field.name}") for field, value in zip(fields, row, strict=True)}


def read_id(value: object, field: str) -> UUID:
    if not isinstance(value, str) or not HEX.fullmatch(value):
        raise WireError(field, "must be an id of 32 hex digits")
    return UUID(value)


def read_time(value: object, field: str) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**52:
        raise WireError(field, "must be a time in microseconds since 1970")
    return EPOCH + timedelta(microseconds=value)


def whole_number(least: int, most: int) -> Reader:
    def read(value: object, field: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise WireError(field, f"must be a whole number from {least} to {most}")
        return value

    return read


def number(most: float) -> Reader:
    def read(value: object, field: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise WireError(field, f"must be a number from 0 to {most:g}")
        return float(value)

    return read


def maybe(reader: Reader) -> Reader:
    return lambda value, field: None if value is None else reader(value, field)


def text(most: int, pattern: str = "") -> Reader:
    def read(value: object, field: str) -> str:
        if not isinstance(value, str) or len(value) > most or not _is_storable(value):
            raise WireError(field, f"must be a text of at most {most} characters")
        if pattern and not re.fullmatch(pattern, value, re.ASCII):
            raise WireError(field, "must be a code")
        return value

    return read


def read_address(value: object, field: str) -> str:
    try:
        if isinstance(value, str) and "%" not in value:  # PostgreSQL knows no scopes
            return _address(value)
    except ValueError:
        pass
    raise WireError(field, "must be an IP address")


@lru_cache(maxsize=4_096)  # a batch names few, and each cost a fifth of its row
def _address(value: str) -> str:
    return str(ip_address(value))


def document(most_bytes: int, *, depth: int = MAX_DEPTH) -> Reader:
    """Read an object that PostgreSQL can keep as jsonb and nothing that reads it later stumbles over."""

    def read(value: object, field: str) -> dict[str, Any]:
        if not isinstance(value, dict) or not _is_plain(value, depth) or len(dump(value)) > most_bytes:
            raise WireError(field, f"must be an object of at most {most_bytes} bytes of JSON")
        return value

    return read


def _is_plain(value: object, depth: int) -> bool:
    if isinstance(value, str):
        return _is_storable(value)
    if isinstance(value, dict | list):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(part, depth - 1) for part in parts)
    return not isinstance(value, float) or math.isfinite(value)


def _is_storable(text: str) -> bool:
    """PostgreSQL keeps no NUL and no half of a surrogate pair."""
    return ("\x00" not in text and text.isascii()) or not re.search("[\x00\ud800-\udfff]", text)
