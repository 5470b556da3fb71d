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
    """Return the monitors and their tags in the shape of a JSON backup; the file is only read."""
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
    except sqlite3.Error as error:
        raise CliError(f"{path} is no database of Uptime Kuma: {error}.") from error
    for monitor in monitors:
        monitor["tags"] = tags.get(monitor.get("id"), [])
    return json.dumps({"version": "database", "monitorList": monitors}, default=str).encode()


def _given(row: sqlite3.Row) -> dict[str, Any]:
    """Return a row without what it leaves open: most of Kuma's hundred columns are for other types of monitor."""
    return {name: row[name] for name in row.keys() if row[name] is not None}  # noqa: SIM118 - a row yields its values


def _way(path: Path) -> str:
    """Return how SQLite opens the file: with its write-ahead log where one lies beside it.

    Without one nobody writes to it. Opened as if somebody might, a database like Kuma's gets an empty log beside it,
    and cannot be opened at all where that may not be made.
    """
    return "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
