"""The release before: its state of the schema, and rows as its processes write them, every column named."""

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psycopg
from psycopg import sql

# The newest migrations of the release that installations upgrade from. Raise them when there is a newer one.
STATE = {
    "accounts": "0002_language",
    "alerting": "0002_flapping",
    "checks": "0005_rollups",
    "events": "0001_initial",
    "incidents": "0003_maintenance",
    "notifications": "0001_initial",
    "statuspages": "0001_initial",
    "tenants": "0002_invitation_letters",
}
ABSENT = ("plans",)  # apps that it did not have yet
Row = dict[str, Any]
FLIPS = (  # when, from, to: the last one is on its way, its outage not opened yet
    ("2025-09-01T10:00Z", "new", "up"),
    ("2025-09-03T10:00Z", "up", "down"),
    ("2025-09-03T12:00Z", "down", "up"),
    ("2025-09-05T00:00Z", "up", "unknown"),
    ("2025-09-05T06:00Z", "unknown", "up"),
    ("2025-09-06T08:00Z", "up", "down"),
)
NOW = "2025-09-06T08:00Z"


def rows(name: str) -> list[tuple[str, Row]]:
    """Return a tenant of that name with all that migrations since may touch, parents first."""

    def known(what: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"{name}/{what}"))

    tenant = {"tenant_id": known("tenant")}
    return [
        ("accounts_user", _person(known("owner"), f"{name}@acme.example")),
        (
            "tenants_tenant",
            {
                **{"id": known("tenant"), "name": name, "slug": name, "time_zone": "UTC"},
                **{"created_at": "2025-09-01T00:00Z", "allows_private_targets": True},
            },
        ),
        *_shop(tenant, known("shop"), known),
        *_backup(tenant, known("backup")),
        (
            "checks_dependency",
            {**tenant, "id": known("needs"), "child_id": known("backup"), "parent_id": known("shop")},
        ),
        *_outage(tenant, known),
        *_windows(tenant, known),
        *_outbox(tenant, known),
    ]


def write(connection: psycopg.Connection[Any], table: str, row: Row) -> None:
    """Insert the row as a process of that release does, which knows no other columns."""
    names = {"table": sql.Identifier(table), "columns": sql.SQL(", ").join(map(sql.Identifier, row))}
    statement = "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s)"
    connection.execute(sql.SQL(statement).format(**names), [json.dumps(row)])


def _person(user_id: str, email: str) -> Row:
    return {
        **{"id": user_id, "name": "", "email": email, "is_staff": False, "language": "", "password": "!"},
        **{"is_active": True, "joined_at": "2025-09-01T00:00Z", "last_login": None, "is_superuser": False},
    }


def _check(tenant: Row, check_id: str, **fields: Any) -> Row:
    return {
        **tenant,
        **{"id": check_id, "tags": ["shop"], "regions": [1], "retries": 0, "secrets": "", "version": 1, "target": ""},
        **{"created_at": "2025-09-01T00:00Z", "updated_at": "2025-09-01T00:00Z", "recoveries": 1, "degraded_ms": None},
        **{"confirmations": 1, "timeout_seconds": 5, "interval_seconds": 60, "false_page_period": ""},
        **{"retry_interval_seconds": 5, **fields},
    }


def _state(tenant: Row, check_id: str, state: str) -> Row:
    return {
        **{**tenant, "check_id": check_id, "state": state, "since_at": NOW, "is_flapping": False},
        **{"flapping_since_at": None, "false_failure_ratio": None},
    }


def _shop(tenant: Row, shop: str, known: Any) -> list[tuple[str, Row]]:
    config = {"url": "https://shop.example/health", "expected_status": "200-299"}
    turn = {
        **{**tenant, "check_id": shop, "region_id": 1, "due_at": NOW, "claimable_at": NOW, "last_ms": 0.75},
        **{"opinion": 2, "failures": 1, "forgiven": 0, "measured": 25, "successes": 0, "last_error": "status_mismatch"},
        **{"last_verdict": 0, "run_since_at": NOW, "last_result_at": NOW, "last_error_values": {"status": 503}},
    }
    rollup = {
        **{
            **tenant,
            "check_id": shop,
            "region_id": 1,
            "at": "2025-09-03T00:00Z",
            "failed": 120,
            "good": 1_320,
            "slow": 0,
        },
        **{"unmeasured": 0, "timed": 1_440, "sum_ms": 1_440.5, "min_ms": 0.5, "max_ms": 9.25, "phase_sums": [1.5]},
        **{"phase_counts": [1_440], "buckets": [1, 2], "bucket_counts": [1_000, 440]},
    }
    return [
        ("checks_check", _check(tenant, shop, name="Shop", key="", kind="http", config=config)),
        ("checks_checkstate", _state(tenant, shop, "down")),
        ("checks_turn", turn),
        ("checks_dayrollup", rollup),
        ("checks_hourrollup", {**rollup, "at": "2025-09-03T10:00Z"}),
        *(("checks_flip", _flip(tenant, shop, known, number)) for number in range(len(FLIPS))),
    ]


def _flip(tenant: Row, shop: str, known: Any, number: int) -> Row:
    at, before, after = FLIPS[number]
    return {
        **{**tenant, "id": known(f"flip {number}"), "check_id": shop, "at": at, "noticed_at": at, "before": before},
        **{"after": after, "regions": [1], "sequence": number + 1, "confidence_ratio": None},
        **{"error_code": "status_mismatch" if after == "down" else "", "error_values": {}},
    }


def _backup(tenant: Row, backup: str) -> list[tuple[str, Row]]:
    config = {"schedule": "simple", "period_seconds": 86_400, "grace_seconds": 3_600, "filters_body": True}
    heartbeat = {
        **{**tenant, "check_id": backup, "slug": "backup", "token": backup, "pings": 1, "is_doubtful": False},
        **{"deadline_at": "2025-09-07T09:00Z", "last_ping_at": NOW, "last_duration": None, "last_start_at": None},
        "last_start_run": None,
    }
    ping = {
        **{
            **tenant,
            "check_id": backup,
            "number": 1,
            "at": NOW,
            "body": "\\x64756d70",
            "agent": "curl",
            "method": "POST",
        },
        **{"run_id": None, "signal": "success", "duration": None, "source_ip": "127.0.0.1", "body_bytes": 4},
        "exit_status": None,
    }
    return [
        ("checks_check", _check(tenant, backup, name="Backup", key="backup", kind="heartbeat", config=config)),
        ("checks_checkstate", _state(tenant, backup, "up")),
        ("checks_heartbeat", heartbeat),
        ("checks_ping", ping),
    ]


def _outage(tenant: Row, known: Any) -> list[tuple[str, Row]]:
    outage = {
        **{**tenant, "id": known("outage"), "check_id": known("shop"), "severity": "down", "latest_severity": "down"},
        **{"started_at": FLIPS[1][0], "ended_at": FLIPS[2][0], "error_code": "status_mismatch", "error_values": {}},
        **{"opened_by_id": known("flip 1"), "last_flip_id": known("flip 4")},
    }
    entry = {**tenant, "outage_id": known("outage"), "text": "", "values": {}, "author_id": None}
    return [
        ("incidents_outage", outage),
        ("incidents_outageentry", {**entry, "id": known("opened"), "at": FLIPS[1][0], "kind": "opened"}),
        ("incidents_outageentry", {**entry, "id": known("resolved"), "at": FLIPS[2][0], "kind": "resolved"}),
    ]


def _windows(tenant: Row, known: Any) -> list[tuple[str, Row]]:
    window = {
        **{**tenant, "cron": "", "tags": [], "repeat": "weekly", "duration": "02:00:00", "weekdays": [6]},
        **{"is_public": True, "starts_at": None, "time_zone": "Europe/Berlin", "covers_all": False, "description": ""},
        **{"created_at": NOW, "updated_at": NOW, "time_of_day": "03:00:00", "created_by_id": known("owner")},
        **{"cut_off_at": None, "last_ended_at": None, "repeats_until_at": None},
        **{"running_since_at": None, "running_until_at": None, "next_edge_at": "2025-09-07T01:00Z"},
    }
    moving = {"id": known("moving"), "name": "Moving", "covers_all": True, "created_at": "2025-09-06T09:00Z"}
    link = {**tenant, "id": known("link"), "window_id": known("patching"), "check_id": known("shop")}
    return [
        ("incidents_maintenancewindow", {**window, "id": known("patching"), "name": "Patching"}),
        ("incidents_maintenancewindow", {**window, **moving}),
        ("incidents_windowcheck", link),
    ]


def _outbox(tenant: Row, known: Any) -> list[tuple[str, Row]]:
    flipped = {
        **{**tenant, "event": "checks.went_down", "handler": "apps.incidents.handlers.on_check_flipped"},
        **{"payload": {"tenant_id": tenant["tenant_id"], "check_id": known("shop"), "flip_id": known("flip 5")}},
        **{"created_at": NOW, "claimable_at": NOW, "attempts": 0, "last_error": "", "is_parked": False},
    }
    parked = {**flipped, "id": known("parked"), "is_parked": True, "last_error": "it broke", "attempts": 9}
    return [("events_outboxrow", {**flipped, "id": known("on its way")}), ("events_outboxrow", parked)]
