"""Uptime Kuma's database as the command line reads it: with its write-ahead log, and without leaving anything behind."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from apps.checks.importers.registry import IMPORTERS
from config.cli.kuma import slim_backup


def kuma(path: Path) -> sqlite3.Connection:
    """Make a database as Uptime Kuma does, and return the connection that holds it open."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        """
        CREATE TABLE monitor (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
        INSERT INTO monitor VALUES (1, 'Shop');
        """
    )
    return connection


def names(path: Path) -> list[str]:
    return [monitor["name"] for monitor in json.loads(slim_backup(path))["monitorList"]]


def test_database_of_a_stopped_kuma_is_read_and_nothing_left_beside_it(tmp_path: Path) -> None:
    kuma(tmp_path / "kuma.db").close()

    assert names(tmp_path / "kuma.db") == ["Shop"]
    assert [file.name for file in tmp_path.iterdir()] == ["kuma.db"]


def test_database_of_a_running_kuma_is_read_with_what_is_only_in_its_log(tmp_path: Path) -> None:
    with closing(kuma(tmp_path / "kuma.db")) as running:
        running.execute("INSERT INTO monitor VALUES (2, 'Late')")

        assert names(tmp_path / "kuma.db") == ["Shop", "Late"]


def test_log_is_found_beside_the_database_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(kuma(tmp_path / "data" / "kuma.db")) as running:
        running.execute("INSERT INTO monitor VALUES (2, 'Late')")
        (tmp_path / "link.db").symlink_to(tmp_path / "data" / "kuma.db")

        assert names(tmp_path / "link.db") == ["Shop", "Late"]


def test_database_of_thousands_of_monitors_is_sent_without_what_they_leave_open_and_read_whole(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "kuma.db")) as database:
        unused = [f"unused_{number}" for number in range(80)]
        database.executescript(
            f"""
            CREATE TABLE monitor (id INTEGER PRIMARY KEY, name TEXT, type TEXT, url TEXT, weight INTEGER, body TEXT,
              description TEXT, {", ".join(unused)});
            CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
            """
        )
        database.executemany(
            "INSERT INTO monitor (id, name, type, url, weight, body, description) VALUES (?, 'Shop', ?, ?, 0, '', ?)",
            [
                (number, "group" if number < 3_000 else "http", "https://a.example/", "x" * 1_000)
                for number in range(1, 3_001)
            ],
        )
        database.commit()

    raw = slim_backup(tmp_path / "kuma.db")

    first = json.loads(raw)["monitorList"][0]
    assert sorted(first) == ["body", "description", "id", "name", "tags", "type", "url", "weight"]
    assert (first["weight"], first["body"]) == (0, "")
    assert len(raw) > 2_621_440
    assert [check["key"] for check in IMPORTERS.get("uptime_kuma").read(raw).checks] == ["kuma-3000"]
