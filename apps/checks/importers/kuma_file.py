"""Uptime Kuma's monitors as rows: out of its JSON backup, or out of its SQLite database."""

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_BYTES, MAX_ENTRIES, Reading, SourceError, refuse_beyond
from apps.core.kinds import Text

Row = Mapping[str, Any]
MAGIC = b"SQLite format 3\x00"
VERSIONS = slice(18, 20)  # of the file's format, for writing and for reading: 2 with a write-ahead log, 1 without
WITHOUT_LOG = b"\x01\x01"
MAX_LINKS = 100_000  # of tags to monitors
MAX_STEPS = 400  # of a million virtual machine instructions each
TABLES = frozenset({"monitor", "tag", "monitor_tag"})
WINDOWS, COVERED, SETTINGS = "maintenance", "monitor_maintenance", "setting"  # tables that older ones lack
JUDGEMENT, COLUMNS = "quick_check", "table_info"
MAY = {sqlite3.SQLITE_READ: TABLES | {WINDOWS, COVERED, SETTINGS}, sqlite3.SQLITE_PRAGMA: {JUDGEMENT, COLUMNS}}
BROKEN = "*** "  # begins what it says of the file itself, and not of a row's values


@dataclass(frozen=True, slots=True)
class KumaFile:
    """Monitors with names in snake case, as the database has them; ``notes`` are what the report says of the whole.

    ``windows`` are the maintenance that is switched on, with the ids of its ``monitors``; ``time_zone`` is the server's.
    """

    rows: list[Row]
    notes: list[Text] = field(default_factory=list)
    windows: list[Row] = field(default_factory=list)
    time_zone: str = ""


class Patience:
    """Ends a query that a crafted database makes endless; the databases of one export share it."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def __call__(self) -> int:
        self._left -= 1
        return self._left < 0


def read_kuma(raw: bytes, reading: Reading, *, patience: Patience) -> KumaFile:
    """Return what the file holds; raise `SourceError` where it is neither."""
    return _from_database(raw, patience) if raw.startswith(MAGIC) else _from_backup(raw, reading)


def object_of(value: Any) -> Any:
    """Return what stands in a column as JSON, or in a backup as it is; None where it cannot be read."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


# --- The backup --------------------------------------------------------------------------------------------------


def _from_backup(raw: bytes, reading: Reading) -> KumaFile:
    """Read a backup. Kuma's own have no maintenance; what our command line makes of a database does."""
    document = reading.document(raw, max_bytes=MAX_BYTES)
    document = document if isinstance(document, Mapping) else {}
    monitors, windows = document.get("monitorList"), document.get("maintenanceList")
    if isinstance(monitors, Mapping):  # the list as its API sends it, by id
        monitors = list(monitors.values())
    if not isinstance(monitors, list):
        raise SourceError(_("Expected a backup with “monitorList”, or the database file kuma.db."))
    windows = windows if isinstance(windows, list) else []
    refuse_beyond(max(len(monitors), len(windows)))
    return KumaFile(
        [{_snake(name): value for name, value in row.items()} for row in monitors if isinstance(row, Mapping)],
        windows=[row for row in windows if isinstance(row, Mapping) and isinstance(row.get("monitors"), list)],
        time_zone=str(document.get("serverTimezone") or ""),
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


# --- The database ------------------------------------------------------------------------------------------------


def _from_database(raw: bytes, patience: Patience) -> KumaFile:
    """Read the database in memory. It comes from outside: its triggers, views and functions must have nothing to say.

    Kuma's has a write-ahead log, and SQLite opens such a one only where the log can lie beside it: the copy says that
    it has none. What is only in the log is not here then, and a copy made while Kuma wrote may hold pages of two
    moments, so that the tables are judged first.
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.row_factory = _row
        connection.deserialize(raw[: VERSIONS.start] + WITHOUT_LOG + raw[VERSIONS.stop :])
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA ignore_check_constraints = ON")  # they are expressions of who made the file
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4_194_304)
        connection.set_authorizer(_may)
        connection.set_progress_handler(patience, 1_000_000)
        _judge(connection)
        rows = _all(connection, "SELECT * FROM monitor ORDER BY id LIMIT ?", MAX_ENTRIES)
        tags = _database_tags(connection)
        windows, zone = _windows(connection), _time_zone(connection)
    except (sqlite3.Error, OverflowError) as error:
        raise SourceError(_("This database cannot be read (%(reason)s).") % {"reason": error}) from error
    finally:
        connection.close()
    notes: list[Text] = [LATE] if raw[VERSIONS] != WITHOUT_LOG else []
    return KumaFile([{**row, "tags": tags.get(row.get("id"), [])} for row in rows], notes, windows, zone)


LATE = _(
    "Uptime Kuma keeps its last changes in kuma.db-wal for a while. Stop it before you copy kuma.db, or some may be missing here."
)


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    """Return a row without its binary values: none of Kuma's columns has any."""
    names = (column[0] for column in cursor.description)
    return {name: None if isinstance(value, bytes) else value for name, value in zip(names, values, strict=True)}


def _judge(connection: sqlite3.Connection) -> None:
    for table in sorted(TABLES):
        for row in connection.execute(f"PRAGMA {JUDGEMENT}({table})"):
            if str(row[JUDGEMENT]).startswith(BROKEN):
                raise SourceError(
                    _(
                        "This copy of kuma.db was made while Uptime Kuma wrote to it. Stop Uptime Kuma and copy it again."
                    )
                )


def _may(action: int, name: str | None, _column: str | None, _database: str | None, _source: str | None) -> int:
    if action == sqlite3.SQLITE_SELECT or name in MAY.get(action, ()):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _database_tags(connection: sqlite3.Connection) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    names = {row["id"]: row["name"] for row in _all(connection, "SELECT id, name FROM tag LIMIT ?", MAX_ENTRIES)}
    for row in _all(connection, "SELECT monitor_id, tag_id, value FROM monitor_tag LIMIT ?", MAX_LINKS):
        found.setdefault(row["monitor_id"], []).append({"name": names.get(row["tag_id"], ""), "value": row["value"]})
    return found


def _windows(connection: sqlite3.Connection) -> list[Row]:
    """Return the maintenance that is switched on, with the monitors that it covers."""
    if not {"id", "title", "active"} <= _columns(connection, WINDOWS):
        return []
    rows = _all(connection, f"SELECT * FROM {WINDOWS} WHERE active ORDER BY id LIMIT ?", MAX_ENTRIES)  # noqa: S608
    covered: dict[Any, list[Any]] = {}
    if {"monitor_id", "maintenance_id"} <= _columns(connection, COVERED):
        for row in _all(connection, f"SELECT monitor_id, maintenance_id FROM {COVERED} LIMIT ?", MAX_LINKS):  # noqa: S608
            covered.setdefault(row["maintenance_id"], []).append(row["monitor_id"])
    return [{**row, "monitors": covered.get(row["id"], [])} for row in rows]


def _time_zone(connection: sqlite3.Connection) -> str:
    """Return the server's time zone where it was ever chosen; the environment's, which goes before it, is in no file."""
    if not {"key", "value"} <= _columns(connection, SETTINGS):
        return ""
    query = f"SELECT value FROM {SETTINGS} WHERE key = 'serverTimezone' LIMIT ?"  # noqa: S608
    return next((str(object_of(row["value"]) or "") for row in _all(connection, query, MAX_LINKS)), "")


def _columns(connection: sqlite3.Connection, table: str) -> set[Any]:
    return {row["name"] for row in connection.execute(f"PRAGMA {COLUMNS}({table})")}


def _all(connection: sqlite3.Connection, query: str, most: int) -> list[Row]:
    """Return the rows, in memory at once: one more than may be read is enough to refuse them."""
    rows = connection.execute(query, (most + 1,)).fetchall()
    refuse_beyond(len(rows), most)
    return rows
