"""How the product itself is: what a load balancer, a supervisor and Prometheus ask."""

from dataclasses import dataclass
from typing import Any

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from redis.exceptions import RedisError

from apps.checks.domain.regions import regions_without_controls
from apps.core.redis import client
from apps.core.tenancy import system_scope

FIGURES = """
SELECT (SELECT count(*) FROM checks_check),
       (SELECT count(*) FROM checks_turn WHERE claimable_at < now()),
       (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM checks_turn WHERE claimable_at < now()),
       (SELECT count(*) FROM checks_turn WHERE claimable_at > due_at AND claimable_at > now()),
       (SELECT count(*) FROM events_outboxrow WHERE NOT is_parked),
       (SELECT count(*) FROM events_outboxrow WHERE is_parked),
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM events_outboxrow WHERE NOT is_parked),
       (SELECT count(*) FROM notifications_delivery WHERE state IN ('pending', 'sending')),
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM notifications_delivery
        WHERE state IN ('pending', 'sending')),
       (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM events_scheduledjob WHERE due_at < now()),
       (SELECT count(*) FROM incidents_outage WHERE ended_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and ages (seconds) over all tenants."""

    checks: int
    turns_waiting: int
    turn_oldest_seconds: float
    turns_leased: int
    events_waiting: int
    events_parked: int
    event_oldest_seconds: float
    deliveries_waiting: int
    delivery_oldest_seconds: float
    schedule_late_seconds: float
    outages_open: int


def figures() -> Figures:
    """Read the product's own figures in one statement."""
    with system_scope("the operator asks about all tenants at once"), connection.cursor() as cursor:
        cursor.execute(FIGURES)
        return Figures(*cursor.fetchone())


def readiness() -> dict[str, str]:
    """Return each thing a request needs and ``ok`` or what is wrong with it.

    Redis only reminds, and controls only say whose fault a failure is: both are told, not needed.
    """
    return {
        "database": _try(_database),
        "migrations": _try(_migrations),
        "redis": _try(_redis),
        "controls": _try(_controls),
    }


def _try(question: Any) -> str:
    try:
        return str(question())
    except (Error, RedisError, OSError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(missing)} not applied" if missing else "ok"


def _redis() -> str:
    client().ping()
    return "ok"


def _controls() -> str:
    missing = regions_without_controls()
    return f"PROBE_CONTROLS names none in {', '.join(missing)}" if missing else "ok"
