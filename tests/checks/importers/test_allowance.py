"""What the files of one export may cost together: many small ones no more than a large one."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from apps.checks.importers import base, kuma_file
from apps.checks.importers.base import MAX_DOCUMENTS, MAX_ENTRIES, SourceError
from tests.checks.importers.test_several_files import read, whole

ALIASES = b"a: &a [" + b"x, " * 499 + b"x]\nb: [" + b"*a, " * 499 + b"*a]\n"  # a quarter of a million values
LISTS = json.dumps([[]] * 600).encode()


def database_of_some_work() -> bytes:
    """Return a database for which SQLite needs more than a million of its instructions."""
    columns = ", ".join(f"c{number} INTEGER NOT NULL DEFAULT 0" for number in range(40))
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            f"""
            CREATE TABLE monitor (id INTEGER, name TEXT, type TEXT, url TEXT);
            CREATE TABLE tag (id INTEGER, name TEXT);
            CREATE TABLE monitor_tag (monitor_id INTEGER, tag_id INTEGER, value TEXT, {columns});
            INSERT INTO monitor VALUES (1, 'Live', 'http', 'https://live.example/');
            """
        )
        database.executemany("INSERT INTO monitor_tag (monitor_id) VALUES (?)", [(1,)] * 20_000)
        database.commit()
        return database.serialize()


@pytest.mark.parametrize(
    ("source", "file", "reason"),
    [
        ("gatus", b"endpoints: []\n" + ALIASES, "too large with its aliases written out"),
        ("blackbox", b"modules: {}\n" + ALIASES, "too large with its aliases written out"),
        ("blackbox", b"---\n" * (MAX_DOCUMENTS // 2), f"more than {MAX_DOCUMENTS} entries"),
        ("uptimerobot", b'{"monitors": [{"a": ' + LISTS + b"}]}", "more than 2100 entries"),
        ("uptime_kuma", b'{"monitorList": [{"type": "group", "a": ' + LISTS + b"}]}", "more than 2100 entries"),
    ],
    ids=["values", "values in a part", "parts", "values of rows", "values of monitors"],
)
def test_two_files_may_not_have_together_what_each_may(
    source: str, file: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MAX_VALUES", 2_100)
    more = [[{"targets": ["a.example"]}]] if source == "blackbox" else []  # without targets it is no export

    read(source, file, *more)
    with pytest.raises(SourceError, match=f"^File 2: .*{reason}"):
        read(source, file, file)


def test_databases_share_one_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kuma_file, "MAX_STEPS", 1)
    database = database_of_some_work()

    assert [check["name"] for check in read("uptime_kuma", database).checks] == ["Live"]
    with pytest.raises(SourceError, match=r"^File 2: .*\(interrupted\)"):
        read("uptime_kuma", database, database)


def test_report_ends_before_it_is_endless_and_says_so() -> None:
    sections: dict[str, Any] = {f"section{number}": 1 for number in range(MAX_ENTRIES)}
    refused = {"endpoints": [{"name": "last", "url": "gopher://x"}]}

    found = read("gatus", {"endpoints": [], **sections}, {**refused, "storage": {}, "ui": {}})

    assert whole(found) == [("file 2: endpoints[0]", "last")]  # what does not come over is always told
    assert len(found.losses) == MAX_ENTRIES + 2
    assert str(found.losses[-1].reason) == "The report ends here; 2 more of its lines are left out."


def test_long_name_is_not_repeated_in_each_line_of_the_report() -> None:
    found = read("gatus", {"endpoints": [{"name": "x" * 10_000, "url": "gopher://x"}]})

    assert [len(loss.name) for loss in found.losses] == [150]
