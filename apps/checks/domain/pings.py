"""Storing pings: whatever came in within a few milliseconds goes into one transaction.

One statement locks the heartbeats that are meant, the rules judge each ping in its order, and one statement keeps the
pings and moves the heartbeats. When `PingStore.store` returns, it is committed: only then may a job be told so.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import groupby
from typing import Any, cast
from uuid import UUID

from django.db import connection, transaction
from psycopg import Cursor
from psycopg.rows import tuple_row

from apps.checks.domain.flips import Change, flip, lock_states, record_flips
from apps.checks.domain.heartbeat_rules import (
    HELD,
    VERDICTS,
    Beat,
    Heard,
    Report,
    deadline,
    hear,
    why_failed,
    why_missed,
)
from apps.checks.domain.ping_doors import find_heard
from apps.checks.domain.ping_runs import Begun, Run, starts_of
from apps.checks.domain.settings import UNREADABLE, opened_config
from apps.checks.domain.turns import CheckSettings, settings_of
from apps.checks.enums import State
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.postgres.arrays import column
from apps.core.tenancy import system_scope

logger = logging.getLogger(__name__)

SETTINGS_KEPT = 50_000
STATES = {state.value: state for state in State}  # a look costs a tenth of what `State("up")` does
UNHEEDED = (Signal.LOG, Signal.IGNORED)  # which change nothing: the sweep may have its time
# A heartbeat whose row somebody holds, and a database that hangs, must not hold up everyone's pings.
BOUNDS = {"lock_timeout": "2s", "statement_timeout": "8s"}
# What `prefer_keys` says, as one statement: only such a one can share a round trip with others.
HINTS = {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_seqscan": "off"}
BEGIN = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in (HINTS | BOUNDS).items())


@dataclass(frozen=True, slots=True)
class BySlug:
    """An address made of a tenant's ping key and a heartbeat's slug."""

    ping_key: str
    slug: str


Address = str | BySlug  # a token, or the other


@dataclass(slots=True, kw_only=True)  # a frozen one costs three times as much to make
class NewPing:
    """A ping as it came in. ``duration`` is what the sender says itself."""

    address: Address
    report: Report
    duration: timedelta | None = None
    method: str = ""
    source_ip: str | None = None
    agent: str = ""
    body: bytes = b""


class Fate(Enum):
    """What became of a ping."""

    STORED = auto()
    NOT_FOUND = auto()
    AMBIGUOUS = auto()


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did: each ping's fate (None: it could not be stored), and the checks heard of, by tenant."""

    fates: list[Fate | None]
    changed: dict[UUID, set[UUID]]


RESOLVE = """
SELECT key.key, beat.slug, min(beat.token), count(*)
FROM unnest(%s::text[], %s::text[]) AS asked(key, slug)
JOIN checks_pingkey AS key ON key.key = asked.key
JOIN checks_heartbeat AS beat ON beat.tenant_id = key.tenant_id AND beat.slug = asked.slug
GROUP BY key.key, beat.slug
"""
# Functions of the database: these keep their plans, through any pooler (checks/migrations, "cheaper pings").
FIND = "SELECT * FROM checks_lock_heartbeats(%b::text[])"
# One array per column: binding them costs less than a staging table, which would have to be emptied at each commit.
COLUMNS = (
    *(("check_id", "uuid"), ("tenant_id", "uuid"), ("number", "int8"), ("at", "timestamptz"), ("signal", "text")),
    *(("exit_status", "int2"), ("run_id", "uuid"), ("duration", "interval"), ("method", "text"), ("source_ip", "inet")),
    *(("agent", "text"), ("body_bytes", "int4"), ("body", "bytea"), ("last_ping_at", "timestamptz")),
    *(("last_start_at", "timestamptz"), ("last_start_run", "uuid"), ("last_duration", "interval")),
    *(("deadline_at", "timestamptz"), ("is_doubtful", "bool")),
)
KEEP = f"SELECT checks_keep_pings({', '.join(f'%b::{kind}[]' for _name, kind in COLUMNS)})"


@dataclass(slots=True)
class _Found:
    """A heartbeat while its pings of one batch are judged."""

    check_id: UUID
    tenant_id: UUID
    config: HeartbeatConfig
    beat: Beat
    pings: int
    deadline_at: datetime | None
    is_doubtful: bool


@dataclass(slots=True)
class _Settings:
    """What a heartbeat's settings were in one version."""

    check_id: UUID
    version: int
    config: HeartbeatConfig | None  # None: they cannot be read


class PingStore:
    """Stores batches, and keeps the settings of the heartbeats that it met."""

    def __init__(self) -> None:
        self._settings: dict[str, _Settings] = {}

    def store(self, pings: Sequence[NewPing]) -> Stored:
        """Store a batch in one transaction, in its order; what has no heartbeat, or one whose settings cannot be read, is
        passed over."""
        rows: list[tuple[Any, ...]] = []
        changes: list[tuple[UUID, Change]] = []
        with system_scope("a batch of pings is for many tenants"), transaction.atomic():
            with connection.cursor() as cursor:
                # The transaction's beginning, its scope, its bounds and the question travel together.
                with connection.wrap_database_errors, connection.connection.pipeline():
                    cursor.execute(BEGIN)
                    tokens, fates = _resolved(cursor, pings)
                    asked = Cursor(connection.connection, row_factory=tuple_row)
                    wanted = sorted({token for token in tokens if token is not None})
                    # Times as text cost ten times as much.
                    asked.execute(FIND, [column("text", wanted)], prepare=False, binary=True)
                locked = asked.fetchall()
                found, known = self._found(locked), {row[0] for row in locked}
                changes += _missed_before(found, tokens, pings)
                begun = _begun(found, tokens, pings)
                for place, (ping, token) in enumerate(zip(pings, tokens, strict=True)):
                    if token is None:
                        continue
                    if token not in found:
                        fates[place] = None if token in known else Fate.NOT_FOUND
                        continue
                    heard, change = _judged(found[token], ping, begun)
                    rows.append(_row(found[token], ping, heard))
                    if change:
                        changes.append((found[token].check_id, change))
                if rows:
                    _keep(rows)
            _record(changes)
        changed: dict[UUID, set[UUID]] = {}
        for one in found.values():
            changed.setdefault(one.tenant_id, set()).add(one.check_id)
        return Stored(fates, changed)

    def _found(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, _Found]:
        configs = self._configs(rows)
        return {
            row[0]: _Found(
                check_id=row[1],
                tenant_id=row[2],
                config=config,
                beat=Beat(
                    state=STATES[row[4]],
                    last_ping_at=row[6],
                    last_start_at=row[7],
                    last_start_run=row[8],
                    last_duration=row[9],
                ),
                pings=row[5],
                deadline_at=row[10],
                is_doubtful=row[11],
            )
            for row, config in zip(rows, configs, strict=True)
            if config is not None
        }

    def _configs(self, rows: Sequence[tuple[Any, ...]]) -> list[HeartbeatConfig | None]:
        """Return the settings of heartbeats as found; fetch those that are new to us or were changed."""
        if len(self._settings) > SETTINGS_KEPT:
            self._settings.clear()
        unknown = {row[1]: row[0] for row in rows if not self._is_known(row)}
        for check_id, (version, settings) in (settings_of(list(unknown)) if unknown else {}).items():
            self._settings[unknown[check_id]] = _Settings(check_id, version, _opened(check_id, settings))
        return [self._settings[row[0]].config for row in rows]

    def _is_known(self, row: tuple[Any, ...]) -> bool:
        known = self._settings.get(row[0])  # by token: a UUID's hash costs as much as all of this
        return known is not None and known.version == row[3] and known.check_id == row[1]


def _opened(check_id: UUID, settings: CheckSettings) -> HeartbeatConfig | None:
    """Return a heartbeat's settings. Where they cannot be read its pings are not stored, which is nobody else's trouble."""
    try:
        config = cast("HeartbeatConfig", opened_config(check_id, settings.kind, settings.public, settings.sealed))
        config.rhythm.following(clock.now())  # a time zone that is gone is met here alone
    except UNREADABLE:
        logger.exception("the settings of heartbeat %s cannot be read; its pings are not stored", check_id)
        return None
    return config


def _resolved(cursor: Any, pings: Sequence[NewPing]) -> tuple[list[str | None], list[Fate | None]]:
    """Return each ping's token, and what became of those that have none."""
    slugs = {ping.address for ping in pings if isinstance(ping.address, BySlug)}
    known: dict[BySlug, tuple[str, int]] = {}
    if slugs:
        cursor.execute(RESOLVE, [[one.ping_key for one in slugs], [one.slug for one in slugs]])
        known = {BySlug(key, slug): (token, count) for key, slug, token, count in cursor.fetchall()}
    tokens: list[str | None] = []
    fates: list[Fate | None] = []
    for ping in pings:
        token, count = (ping.address, 1) if isinstance(ping.address, str) else known.get(ping.address, (None, 0))
        tokens.append(token if count == 1 else None)
        fates.append(Fate.STORED if count == 1 else Fate.AMBIGUOUS if count else Fate.NOT_FOUND)
    return tokens, fates


def _missed_before(
    found: dict[str, _Found], tokens: Sequence[str | None], pings: Sequence[NewPing]
) -> list[tuple[UUID, Change]]:
    """Return the flips of heartbeats whose deadline had passed when the first of these reports came.

    Otherwise it would be chance whether a late job was down meanwhile: the sweep may come round a second too late, or not
    at all for minutes. It cannot come between, as the rows are locked.
    """
    newest = max(ping.report.at for ping in pings)  # not always the last: one that went to its other address has waited
    overdue = {token: one for token, one in found.items() if _is_late(one, newest)}
    if not overdue:
        return []
    first: dict[str, datetime] = {}
    for ping, token in zip(pings, tokens, strict=True):
        if token in overdue and ping.report.signal not in UNHEEDED:
            first[token] = min(ping.report.at, first.get(token, ping.report.at))
    late = [overdue[token] for token, at in first.items() if _is_late(overdue[token], at)]
    heard = find_heard([one.check_id for one in late], clock.now()) if late else ()
    return [(one.check_id, _missed(one)) for one in late if one.check_id in heard]


def _is_late(found: _Found, at: datetime) -> bool:
    is_judged = found.beat.state not in (State.DOWN, *HELD) and not found.is_doubtful
    return is_judged and found.deadline_at is not None and found.deadline_at <= at


def _missed(found: _Found) -> Change:
    limit = cast("datetime", found.deadline_at)
    error_code = why_missed(found.beat, found.config, limit)
    found.beat, found.deadline_at = replace(found.beat, state=State.DOWN), None
    return Change(after=State.DOWN, at=limit, error_code=error_code)


def _begun(found: dict[str, _Found], tokens: Sequence[str | None], pings: Sequence[NewPing]) -> Begun:
    """Return when the runs began that these reports end. Only of those that no heartbeat remembers the pings are asked."""
    begun: Begun = {}
    sought: set[Run] = set()
    for ping, token in zip(pings, tokens, strict=True):
        run_id = ping.report.run_id
        if run_id is None or token is None or token not in found:
            continue
        check_id, beat = found[token].check_id, found[token].beat
        if beat.last_start_at is not None and beat.last_start_run == run_id:
            begun[check_id, run_id] = beat.last_start_at  # this batch may bring a newer start
        elif ping.report.signal in VERDICTS:
            sought.add((check_id, run_id))
    return begun | starts_of(sought) if sought else begun


def _heard(found: _Found, report: Report, begun: Begun) -> Heard:
    if report.run_id is None:  # most: what has to do with runs costs them nothing
        return hear(found.beat, report, found.config)
    run = (found.check_id, report.run_id)
    heard = hear(found.beat, report, found.config, begun.get(run))
    if heard.signal == Signal.START:
        begun[run] = report.at
    elif heard.signal in VERDICTS:
        begun.pop(run, None)
    return heard


def _judged(found: _Found, ping: NewPing, begun: Begun) -> tuple[Heard, Change | None]:
    """Let the rules judge a ping, and move the heartbeat on."""
    before = found.beat.state
    heard = _heard(found, ping.report, begun)
    if ping.duration is not None and heard.signal in VERDICTS:
        heard = Heard(replace(heard.beat, last_duration=ping.duration), heard.signal, ping.duration)
    found.beat, found.pings = heard.beat, found.pings + 1
    _expect(found, heard.signal)
    if heard.beat.state == before:
        return heard, None
    return heard, _change(heard.beat.state, ping.report)


def _expect(found: _Found, signal: Signal) -> None:
    """Set the next deadline. Where a report may have been lost on its way to us, only one that ends a run clears that."""
    if signal not in VERDICTS and signal != Signal.START:
        return
    limit = deadline(found.beat, found.config)
    if signal in VERDICTS:
        found.deadline_at, found.is_doubtful = limit, False
    elif found.is_doubtful and limit is not None and found.deadline_at is not None:
        found.deadline_at = max(limit, found.deadline_at)
    else:
        found.deadline_at = limit


def _change(after: State, report: Report) -> Change:
    if after != State.DOWN:
        return Change(after=after, at=report.at)
    error_code, values = why_failed(report.exit_status)
    return Change(after=after, at=report.at, error_code=error_code, error_values=values)


def _row(found: _Found, ping: NewPing, heard: Heard) -> tuple[Any, ...]:
    report, beat = ping.report, heard.beat
    return (
        *(found.check_id, found.tenant_id, found.pings, report.at, heard.signal.value, report.exit_status),
        *(report.run_id, heard.duration, ping.method, ping.source_ip, ping.agent, len(ping.body), ping.body or None),
        *(beat.last_ping_at, beat.last_start_at, beat.last_start_run, beat.last_duration),
        *(found.deadline_at, found.is_doubtful),
    )


def _keep(rows: list[tuple[Any, ...]]) -> None:
    """Insert the pings and move the heartbeats: bound on the server, in binary, inside the open transaction.

    Most pings bring neither run nor text: where no row has a value, `unnest` fills the column with NULL by itself.
    """
    columns = [column(kind, values) for (_name, kind), values in zip(COLUMNS, zip(*rows, strict=True), strict=True)]
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(KEEP, columns, prepare=False)


def _record(changes: list[tuple[UUID, Change]]) -> None:
    """Write the flips of a batch; several of one check stay in their order."""
    if not changes:
        return
    states = lock_states({check_id for check_id, _change in changes})
    by_check = groupby(sorted(changes, key=lambda pair: states[pair[0]].pk), key=lambda pair: pair[0])
    record_flips(
        [(states[check_id], flip(states[check_id], change)) for check_id, some in by_check for _id, change in some]
    )
