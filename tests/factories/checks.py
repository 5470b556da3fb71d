"""Checks and results, made the way the product makes them. Call inside a tenant scope."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.functions import TransactionNow

from apps.checks.domain.results import NewResult
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Check, CheckState, Turn
from apps.core import clock
from apps.core.postgres.clock import database_now

# What the regions say of a check that is in a state.
OPINIONS = {State.UP: Verdict.SUCCESS, State.DEGRADED: Verdict.DEGRADED, State.DOWN: Verdict.FAILURE}


def transaction_age(check: Check) -> timedelta:
    """Return how far the database's now() is behind the clock: it stands still from where a test's transaction began."""
    began_at: datetime = Check.objects.values_list(TransactionNow(), flat=True).get(id=check.id)
    return database_now() - began_at


def make_check(
    name: str = "API", *, state: State = State.UNKNOWN, due_at: datetime | None = None, **fields: Any
) -> Check:
    """A check whose settings nobody looks at, with its turn and state."""
    given = {
        "kind": "http",
        "config": {"url": "http://127.0.0.1:9/"},
        "target": "http://127.0.0.1:9/",
        "retries": 0,
        **fields,
    }
    check = Check.objects.create(name=name, **given)
    at = due_at or clock.now() - transaction_age(check) - timedelta(seconds=1)
    CheckState.objects.create(watched=check, state=state, since_at=min(at, clock.now()))
    for region_id in check.regions:
        Turn.objects.create(
            watched=check,
            region_id=region_id,
            due_at=at,
            claimable_at=None if state == State.PAUSED else at,
            opinion=OPINIONS.get(state),
        )
    return check


def make_result(check: Check, verdict: Verdict = Verdict.SUCCESS, **fields: Any) -> NewResult:
    """A result for the check's present turn in a region."""
    region_id = fields.setdefault("region_id", MAIN_REGION)
    due_at = Turn.objects.get(watched=check, region_id=region_id).due_at
    given: dict[str, Any] = {"started_at": due_at, "total_ms": 12.5, **fields}
    if verdict == Verdict.FAILURE:
        given.setdefault("error_code", "connect_refused")
    return NewResult(check_id=check.id, tenant_id=check.tenant_id, due_at=due_at, verdict=verdict, **given)


def drift_form(url: str) -> dict[str, Any]:
    """What the form of a drift check sends at least: what it watches is for the test to add."""
    return {
        "name": "Drift",
        "interval_seconds": "60",
        "timeout_seconds": "5",
        "retries": "0",
        "retry_interval_seconds": "5",
        "config-url": url,
        "config-certificate": "none",
    }
