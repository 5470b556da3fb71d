"""Columns in binary: what comes out of the database is what went in, at the edges of each type too."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from psycopg import Cursor

from apps.core.postgres.arrays import ENCODERS, column

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 4, 5, 6, 7, 890_123, tzinfo=UTC)
SAMPLES: dict[str, list[Any]] = {
    "bool": [True, False],
    "bytea": [b"", b"\x00\xff'\\", b"x" * 70_000],
    "inet": ["127.0.0.1", "255.255.255.255", "::1", "2001:db8::ff"],
    "int2": [0, -32_768, 32_767],
    "int4": [0, -(2**31), 2**31 - 1],
    "int8": [0, -(2**63), 2**63 - 1],
    "interval": [timedelta(0), timedelta(days=-3, microseconds=1), timedelta(hours=72), timedelta(days=4_000)],
    "text": ["", "curl/8", "'; -- \\ \N{SNOWMAN}\N{PILE OF POO}", "x" * 70_000],
    "timestamptz": [AT, datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)],
    "uuid": [UUID(int=0), UUID(int=2**128 - 1), UUID("0197a0c1-2345-7000-8000-000000000001")],
}


def come_back(kind: str, values: list[Any]) -> list[Any]:
    """Return what PostgreSQL reads in a column, row by row."""
    connection.ensure_connection()
    read = "host(value)" if kind == "inet" else "value"
    with Cursor(connection.connection) as cursor:
        cursor.execute(f"SELECT {read} FROM unnest(%b::{kind}[]) AS value", [column(kind, values)])
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_value_comes_back(kind: str) -> None:
    values = SAMPLES[kind]

    assert come_back(kind, values) == values


@pytest.mark.parametrize("kind", ENCODERS)
def test_gaps_and_repetitions_keep_their_place(kind: str) -> None:
    first, last = SAMPLES[kind][0], SAMPLES[kind][-1]

    for values in ([first, None, last, None], [None, first, None], [last, last, last], [first, last, first], [last]):
        assert come_back(kind, values) == values


def test_column_without_any_value_is_null() -> None:
    assert column("uuid", [None, None]) is None


def test_empty_column_has_no_rows() -> None:
    assert come_back("int8", []) == []


def test_time_of_any_zone_is_the_same_instant() -> None:
    assert come_back("timestamptz", [AT.astimezone(timezone(timedelta(hours=-9, minutes=-30)))]) == [AT]
