"""Uptime Kuma's database as it lies on a disk: with a write-ahead log, whole or copied at the wrong moment."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from apps.checks.importers.base import SourceError
from apps.checks.importers.registry import IMPORTERS

PAGE = 4_096
LATE = "Uptime Kuma keeps its last changes in kuma.db-wal for a while. Stop it before you copy kuma.db, or some may be missing here."


def kuma(path: Path) -> sqlite3.Connection:
    """Make a database as Uptime Kuma does, and return the connection that holds it open."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.executescript(
        """
        CREATE TABLE monitor (id INTEGER PRIMARY KEY, name VARCHAR(150), type VARCHAR(20), url TEXT, description TEXT);
        CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(255));
        CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
        INSERT INTO monitor VALUES (1, 'Shop', 'http', 'https://shop.example/', '');
        """
    )
    return connection


def names(raw: bytes) -> list[str]:
    return [str(check["name"]) for check in IMPORTERS.get("uptime_kuma").read(raw).checks]


def test_database_of_a_stopped_kuma_is_read_and_told_to_need_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    kuma(path).close()

    raw = path.read_bytes()
    read = IMPORTERS.get("uptime_kuma").read(raw)

    assert raw[18:20] == b"\x02\x02"  # what SQLite opens only with its log beside it
    assert [check["name"] for check in read.checks] == ["Shop"]
    assert str(read.losses[0].reason) == LATE


def test_database_of_a_running_kuma_is_read_as_of_its_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(kuma(path)) as running:
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        running.execute("INSERT INTO monitor VALUES (2, 'Late', 'http', 'https://late.example/', '')")

        assert names(path.read_bytes()) == ["Shop"]


def test_copy_with_pages_of_two_moments_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(kuma(path)) as running:
        running.executemany(
            "INSERT INTO monitor VALUES (?, 'N', 'http', 'https://n.example/', ?)",
            [(number, "x" * 1_000) for number in range(2, 200)],
        )
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.read_bytes()
        running.execute("DELETE FROM monitor WHERE id BETWEEN 3 AND 150")
        running.executemany("INSERT INTO tag VALUES (?, ?)", [(number, "y" * 1_000) for number in range(150)])
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        after = path.read_bytes()
    half = len(before) // PAGE // 2 * PAGE

    assert len(names(before)) == 199
    assert len(names(after)) == 51
    with pytest.raises(SourceError, match="made while Uptime Kuma wrote to it"):
        names(after[:half] + before[half:])


def test_copy_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(kuma(path)) as running:
        running.executemany(
            "INSERT INTO monitor VALUES (?, 'N', 'http', '', ?)", [(number, "x" * 1_000) for number in range(2, 200)]
        )

    with pytest.raises(SourceError):
        names(path.read_bytes()[: 10 * PAGE])


def test_constraints_of_a_crafted_database_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            CREATE TABLE monitor (id INTEGER PRIMARY KEY, name TEXT, type TEXT, url TEXT,
              CHECK (length(replace(hex(zeroblob(100000000)), '0', 'abc')) > 5));
            CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
            PRAGMA ignore_check_constraints = ON;
            INSERT INTO monitor VALUES (1, 'Shop', 'http', 'https://shop.example/');
            """
        )

    assert names(path.read_bytes()) == ["Shop"]
