"""Uptime Kuma's database of any size, cut down on this machine to what describes its monitors."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from config.cli.errors import CliError

MAGIC = b"SQLite format 3\x00"


def is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def slim_backup(path: Path) -> bytes:
    """Return the monitors, their tags and maintenance in the shape of a JSON backup; the file is only read."""
    real = path.resolve()  # a log lies beside the file, not beside a link to it
    try:
        with closing(sqlite3.connect(f"{real.as_uri()}?{_way(real)}", uri=True)) as database:
            database.row_factory = sqlite3.Row
            monitors = [_given(row) for row in database.execute("SELECT * FROM monitor ORDER BY id")]
            tags: dict[Any, list[dict[str, Any]]] = {}
            for row in database.execute(
                "SELECT monitor_id, name, value FROM monitor_tag JOIN tag ON tag.id = monitor_tag.tag_id"
            ):
                tags.setdefault(row["monitor_id"], []).append({"name": row["name"], "value": row["value"]})
            maintenance, time_zone = _maintenance(database), _time_zone(database)
    except sqlite3.Error as error:
        raise CliError(f"{path} is no database of Uptime Kuma: {error}.") from error
    for monitor in monitors:
        monitor["tags"] = tags.get(monitor.get("id"), [])
    slim = {
        "version": "database",
        "monitorList": monitors,
        "maintenanceList": maintenance,
        "serverTimezone": time_zone,
    }
    return json.dumps(slim, default=str).encode()


def _maintenance(database: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return the maintenance that is switched on, with the ids of its monitors; older databases have none."""
    if not _has(database, "maintenance") or not _has(database, "monitor_maintenance"):
        return []
    rows = [_given(row) for row in database.execute("SELECT * FROM maintenance WHERE active ORDER BY id")]
    covered: dict[Any, list[Any]] = {}
    for row in database.execute("SELECT maintenance_id, monitor_id FROM monitor_maintenance"):
        covered.setdefault(row["maintenance_id"], []).append(row["monitor_id"])
    return [{**row, "monitors": covered.get(row.get("id"), [])} for row in rows]


def _time_zone(database: sqlite3.Connection) -> str:
    """Return the server's time zone, where its settings name one."""
    if not _has(database, "setting"):
        return ""
    row = database.execute("SELECT value FROM setting WHERE key = 'serverTimezone'").fetchone()
    return str(row["value"] or "").strip('"') if row else ""


def _has(database: sqlite3.Connection, table: str) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone())


def _given(row: sqlite3.Row) -> dict[str, Any]:
    """Return a row without what it leaves open: most of Kuma's hundred columns are for other types of monitor."""
    return {name: row[name] for name in row.keys() if row[name] is not None}  # noqa: SIM118 - a row yields its values


def _way(path: Path) -> str:
    """Return how SQLite opens the file: with its write-ahead log where one lies beside it.

    Without one nobody writes to it. Opened as if somebody might, a database like Kuma's gets an empty log beside it,
    and cannot be opened at all where that may not be made.
    """
    return "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
