"""Checks with a past, made the way the product makes it: flips, and the outages that follow from them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import time_machine

from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Flip
from apps.incidents.domain.outages import account_for_flips
from tests.factories.checks import make_check

Past = Sequence[tuple[datetime, State]]


def at(text: str) -> datetime:
    """Return an instant of November 2026 in UTC: `at("20 14:30")`, or any with its date written out."""
    return datetime.fromisoformat(text if "-" in text else f"2026-11-{text}").replace(tzinfo=UTC)


def watch(name: str, *past: tuple[str, State], since: str = "2026-01-01 00:00", **fields: Any) -> Check:
    """Return a check that went through those states."""
    check = make_check(name, created_at=at(since), **fields)
    live_through(check, [(at(text), state) for text, state in past])
    return check


def live_through(check: Check, past: Past) -> None:
    """Let the check flip, each time at its time, and its outages follow."""
    standing = CheckState.objects.get(watched=check)
    for moment, state in past:
        code = (
            {"error_code": "status_mismatch", "error_values": {"status": "CANARY-ERROR"}} if state == State.DOWN else {}
        )
        with time_machine.travel(moment, tick=False):
            Flip.objects.create(watched=check, at=moment, before=standing.state, after=state, **code)
            account_for_flips([check.id])
        standing.state, standing.since_at = state, moment
        standing.save()
