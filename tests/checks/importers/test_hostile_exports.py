"""Exports in which anything stands in the place of anything: every importer answers, or says that it cannot read them."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from apps.checks.domain.configuration import DocumentErrors, read_configuration, settle_config
from apps.checks.importers.base import SourceError
from apps.checks.importers.registry import IMPORTERS
from apps.core.documents import read_document
from tests.checks.importers.reading import EXPORTS

DIGITS = "9" * 400
# Values as JSON writes them, or as it is made to: Python's own words for what is no number are not JSON.
SHAPES = {
    "integer of 400 digits": DIGITS,
    "negative integer of 400 digits": f"-{DIGITS}",
    "float beyond all": "1e400",
    "largest float": "1.7e308",
    "no number": "NaN",
    "nested list": "[[[1, {}]], []]",
    "nested object": '{"a": {"b": [{}]}, "name": {"c": []}, "value": [1]}',
    "true": "true",
    "false": "false",
    "null": "null",
    "empty text": '""',
    "digits as text": f'"{DIGITS}"',
    "duration of 400 digits": f'"{DIGITS}h"',
    "very long text": json.dumps("1" * 5_000 + "x"),
    "address of nonsense": '"http://[::1:99999999/%zz?ssl=[&a=%00"',
    "control characters": json.dumps("a\tb\x7f\x01"),
}
MARK = "@@here@@"


def documents(raw: bytes) -> Iterator[Any]:
    """Yield the documents of an export that is JSON or YAML."""
    for part in raw.split(b"\n---\n"):
        yield read_document(part)


def altered(value: Any) -> Iterator[Any]:
    """Yield ``value`` once for each place in it, with the mark there."""
    yield MARK
    if isinstance(value, dict):
        for key, part in value.items():
            yield from ({**value, key: inner} for inner in altered(part))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], inner, *value[place + 1 :]] for inner in altered(part))


def read_or_refuse(source: str, raw: bytes) -> None:
    """Read an export as the doors do: their own errors are answers, any other is a fault."""
    with suppress(SourceError, DocumentErrors):
        found = IMPORTERS.get(source).read(raw)
        for loss in found.losses:
            assert isinstance(str(loss.reason), str)
        json.dumps(found.checks)
        wanted = read_configuration({"apiVersion": "obsera/v1", "checks": found.checks}, regions={"main": 1})
        for entry in wanted.entries:
            settle_config(entry, None)


SERVICES = {
    "monitorList": [
        {"id": 1, "name": "Group", "type": "group"},
        {
            "id": 2,
            "name": "Table",
            "type": "mysql",
            "parent": 1,
            "tags": [{"name": "a", "value": "b"}],
            "databaseConnectionString": 'mysql://a:b@c.example:1/d?ssl={"rejectUnauthorized":false}',
            "radiusPassword": "e",
            "conditions": [{"type": "expression", "operator": "equals", "value": "f"}],
        },
        {
            "id": 3,
            "name": "Cache",
            "type": "redis",
            "databaseConnectionString": "rediss://a.example/5",
            "ignoreTls": True,
        },
        {"id": 4, "name": "Set", "type": "mongodb", "databaseConnectionString": "mongodb://a,b/c?tls=true"},
        {"id": 5, "name": "Table", "type": "postgres", "databaseConnectionString": "postgres://a/b?sslmode=require"},
        {"id": 6, "name": "Broker", "type": "mqtt", "hostname": "mqtts://a", "port": 1, "mqttTopic": "b"},
        {"id": 7, "name": "Name", "type": "dns", "hostname": "a.example", "conditions": "[]", "port": 53},
        {"id": 8, "name": "Job", "type": "push", "interval": 60, "maxretries": 1, "retryInterval": 5, "pushToken": "c"},
        {"id": 9, "name": "Call", "type": "grpc-keyword", "grpcUrl": "a.example:1", "grpcEnableTls": True},
        {"id": 10, "name": "Live", "type": "websocket-upgrade", "url": "wss://a.example/", "wsSubprotocol": "b"},
        {
            "id": 11,
            "name": "Path",
            "type": "json-query",
            "url": "https://a.example/",
            "jsonPath": "b",
            "expectedValue": "c",
        },
    ]
}
PINGDOM = {
    "checks": [
        {
            "id": 1,
            "name": "A",
            "hostname": "a.example",
            "type": {kind: settings},
            "tags": [{"name": "b"}],
            "resolution": 1,
        }
        for kind, settings in (
            ("tcp", {"port": 1, "stringtosend": "a", "stringtoexpect": "b"}),
            ("udp", {"port": 1, "stringtosend": "a", "stringtoexpect": "b"}),
            ("dns", {"nameserver": "a", "expectedip": "192.0.2.1"}),
            ("imap", {"port": 1, "encryption": True}),
        )
    ]
}
SAMPLES = [
    *((path.stem, path.read_bytes()) for path in sorted(EXPORTS.iterdir()) if path.suffix != ".csv"),
    ("uptime_kuma", json.dumps(SERVICES).encode()),
    ("pingdom", json.dumps(PINGDOM).encode()),
    (
        "statuscake",
        b'{"data": [{"id": 1, "name": "A", "test_type": "HTTP", "website_url": "a.example", "paused": false}]}',
    ),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("source", "raw"), SAMPLES, ids=[f"{source}-{place}" for place, (source, _raw) in enumerate(SAMPLES)]
)
def test_any_value_in_any_place_is_read_or_refused(source: str, raw: bytes, shape: str) -> None:
    parts = list(documents(raw))

    for place, part in enumerate(parts):
        for changed in altered(part):
            texts = [json.dumps(other) for other in [*parts[:place], changed, *parts[place + 1 :]]]

            read_or_refuse(source, "\n---\n".join(texts).replace(json.dumps(MARK), SHAPES[shape]).encode())


CELLS = [
    DIGITS,
    f"-{DIGITS}",
    "1e400",
    "inf",
    "nan",
    "",
    '"',
    "\x00",
    "[",
    "{}",
    '{"a": [',
    "x" * 100_000,
    "1" * 50_000 + "x",
]


@pytest.mark.parametrize("name", sorted(path.name for path in EXPORTS.glob("*.csv")))
def test_any_text_in_any_cell_is_read_or_refused(name: str) -> None:
    rows = list(csv.reader(io.StringIO((EXPORTS / name).read_text())))
    for line, row in enumerate(rows):
        for column in range(len(row)):
            for cell in CELLS:
                table = [list(other) for other in rows]
                table[line][column] = cell
                written = io.StringIO()
                csv.writer(written).writerows(table)

                read_or_refuse(name.removesuffix(".csv"), written.getvalue().encode())


KUMA = ("type", "id", "name", "active", "interval", "url", "port", "maxretries", "timeout", "parent", "body", "headers")
STORED = [9e999, -9e999, 1.7e308, 2**63 - 1, -(2**63), b"\x00\xff", "\x00", "x" * 5_000, None, ""]


@pytest.mark.parametrize("type_name", ["http", "push", "mysql", "mqtt", "group"])
def test_any_value_in_any_column_is_read_or_refused(type_name: str) -> None:
    for column in KUMA:
        for value in STORED:
            row = {"type": type_name, "id": 1, "name": "A", "url": "https://a.example/", column: value}
            connection = sqlite3.connect(":memory:")
            connection.executescript(
                f"CREATE TABLE monitor ({', '.join(KUMA)}); CREATE TABLE tag (id, name);"
                "CREATE TABLE monitor_tag (monitor_id, tag_id, value);"
            )
            connection.execute(
                f"INSERT INTO monitor ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
            )
            connection.execute("INSERT INTO tag VALUES (1, ?)", [value])
            connection.execute("INSERT INTO monitor_tag VALUES (1, ?, ?)", [value, value])
            connection.commit()

            read_or_refuse("uptime_kuma", connection.serialize())
            connection.close()
