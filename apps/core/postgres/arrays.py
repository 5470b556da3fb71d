"""Columns of values as PostgreSQL takes them in binary: psycopg's own lists cost several times what storing the rows does.

psycopg looks at each element's type by itself, since a list may hold anything. A column is of one type, which is known.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

# What each type's binary form is, PostgreSQL tells in its `…recv` functions alone; those of an array: dimensions, a flag that
# is not looked at, the elements' type, how many, and from which index on.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NULL = struct.pack("!i", -1)
INET_FAMILIES = {4: 2, 6: 3}

_head = struct.Struct("!iiIii").pack
_length = struct.Struct("!i").pack
_oid = struct.Struct("!I").pack
_bool = struct.Struct("!i?").pack
_int2 = struct.Struct("!ih").pack
_int4 = struct.Struct("!ii").pack
_int8 = struct.Struct("!iq").pack
_interval = struct.Struct("!iqii").pack
_UUID_LENGTH = _length(16)


class Column(bytes):
    """One array, ready to be sent."""


class _ColumnDumper(Dumper):
    format = Format.BINARY
    oid = 0  # what the statement says that it is

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


psycopg.adapters.register_dumper(Column, _ColumnDumper)


def column(kind: str, values: Sequence[Any]) -> Column | None:
    """Return values of one PostgreSQL type as an array to bind with ``%b``; None, thus NULL, where each of them is None."""
    if not values:
        return Column(_length(0) * 2 + _oid(psycopg.postgres.types[kind].oid))
    encode, first = ENCODERS[kind], values[0]
    if first == values[-1] and values.count(first) == len(values):  # as many columns of a batch are
        if first is None:
            return None
        items = encode(first) * len(values)
    else:
        items = b"".join([NULL if value is None else encode(value) for value in values])
    return Column(_head(1, 0, psycopg.postgres.types[kind].oid, len(values), 1) + items)


def _encoded_uuid(value: UUID) -> bytes:
    return _UUID_LENGTH + value.bytes


def _encoded_time(value: datetime) -> bytes:
    return _int8(8, (value - EPOCH) // MICROSECOND)


def _encoded_bytes(value: bytes) -> bytes:
    return _length(len(value)) + value


def _encoded_text(value: str) -> bytes:
    return _encoded_bytes(value.encode())


@lru_cache(maxsize=1_000)
def _encoded_inet(value: str) -> bytes:
    address = ip_address(value)
    bits = 32 if isinstance(address, IPv4Address) else 128
    packed = address.packed
    return _encoded_bytes(bytes((INET_FAMILIES[address.version], bits, 0, len(packed))) + packed)


ENCODERS: Mapping[str, Callable[[Any], bytes]] = {
    "bool": lambda value: _bool(1, value),
    "bytea": _encoded_bytes,
    "inet": _encoded_inet,
    "int2": lambda value: _int2(2, value),
    "int4": lambda value: _int4(4, value),
    "int8": lambda value: _int8(8, value),
    "interval": lambda value: _interval(16, value // MICROSECOND, 0, 0),
    "text": _encoded_text,
    "timestamptz": _encoded_time,
    "uuid": _encoded_uuid,
}
