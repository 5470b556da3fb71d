"""Killing parts of a running product, and counting afterwards what must have happened once."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from bench._product import Product, kill_tree

VICTIMS = ("web", "probes", "events", "deliveries", "scheduler", "redis", "postgres")
CALM_SECONDS = 60.0

OVERDUE = """
SELECT (SELECT count(*) FROM checks_turn WHERE claimable_at < now() - interval '2 seconds'),
       (SELECT count(*) FROM events_outboxrow WHERE created_at < now() - interval '3 seconds' AND attempts < 2)
"""
OPEN_WORK = """
SELECT (SELECT count(*) FROM incidents_outage WHERE ended_at IS NULL) + (SELECT count(*) FROM events_outboxrow)
     + (SELECT count(*) FROM notifications_delivery WHERE state IN ('pending', 'sending'))
"""

# Of the checks whose names are like a pattern: those that answer, and those that flip, are told apart by their names.
NAMED = "check_id IN (SELECT id FROM checks_check WHERE name LIKE %(names)s)"
# The time from each turn to the next one, which is named by its due_at, and from the last one to the end.
GAPS = f"""
SELECT check_id, coalesce(lead(due_at) OVER turns, %(until)s) - due_at AS gap,
       coalesce(lead(started_at) OVER turns, %(until)s) - started_at AS unseen
FROM checks_result WHERE {NAMED} AND due_at BETWEEN %(since)s AND %(until)s
WINDOW turns AS (PARTITION BY check_id, region_id ORDER BY due_at)
"""
# Rounds missed; the longest time without a probe in seconds; how many checks were seen at all.
MISSED = f"""
SELECT coalesce(sum(round(extract(epoch FROM gap) / %(interval)s) - 1) FILTER (
           WHERE gap > make_interval(secs => %(interval)s * 1.5)), 0),
       coalesce(max(extract(epoch FROM unseen)), 0), count(DISTINCT check_id)
FROM ({GAPS}) AS turns
"""
TWICE = """
SELECT count(*) FROM (
    SELECT FROM checks_result GROUP BY check_id, due_at, region_id HAVING count(*) > 1
) AS doubled
"""
# What the results say, against what was written down as flips.
FLIPS = f"""
WITH seen AS (
    SELECT check_id, due_at, verdict, lag(verdict) OVER (PARTITION BY check_id ORDER BY due_at) AS before
    FROM checks_result WHERE verdict IN (0, 1) AND {NAMED}
)
SELECT count(*) FILTER (WHERE verdict = 0 AND before IS DISTINCT FROM 0), count(*) FILTER (WHERE verdict = 1 AND before = 0)
FROM seen
"""
WRITTEN = f"""
SELECT count(*) FILTER (WHERE after = 'down'), count(*) FILTER (WHERE before = 'down' AND after = 'up')
FROM checks_flip WHERE {NAMED}
"""
OUTAGES = f"""
SELECT count(*), count(DISTINCT opened_by_id), count(*) FILTER (WHERE ended_at IS NULL) FROM incidents_outage WHERE {NAMED}
"""
# An outage is told to have begun once, and to have ended once.
TOLD_AGAIN = """
SELECT count(*) FROM (
    SELECT FROM incidents_outageentry WHERE kind IN ('opened', 'resolved') GROUP BY outage_id, kind HAVING count(*) > 1
) AS doubled
"""


def numbers(database: psycopg.Connection[tuple[Any, ...]], sql: str, **given: object) -> tuple[float, ...]:
    """Return a row of numbers."""
    return tuple(float(value) for value in database.execute(sql, given or None).fetchone() or ())


def kill(product: Product, victim: str) -> float:
    """``kill -9`` a part and return after how many seconds it lives again with nothing overdue, `CALM_SECONDS` at most."""
    before = product.parts()
    if victim not in before:
        raise SystemExit(f"no part {victim!r} among {sorted(before)}")
    kill_tree(before[victim])
    killed_at = time.monotonic()
    while time.monotonic() - killed_at < CALM_SECONDS:
        time.sleep(0.2)
        if product.parts().get(victim) != before[victim] and _is_calm(product):
            break
    return time.monotonic() - killed_at


def _is_calm(product: Product) -> bool:
    try:
        with product.database() as database:
            return database.execute(OVERDUE).fetchone() == (0, 0)
    except psycopg.Error:
        return False


def await_no_open_work(product: Product, seconds: float) -> None:
    """Wait until no outage is open and nothing is left to be told, or the time is over."""
    deadline = time.monotonic() + seconds
    with product.database() as database:
        while time.monotonic() < deadline and any(numbers(database, OPEN_WORK)):
            time.sleep(1)
