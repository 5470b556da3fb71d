"""Results as the prober saw them, turned into what the server may be told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.enums import Verdict
from apps.core import clock
from config.agent.records import Record, record_of
from config.agent.server_clock import ServerClock, corrected

logger = logging.getLogger(__name__)


def records_of(results: Iterable[NewResult], server_clock: ServerClock) -> Iterator[tuple[Record, datetime]]:
    """Yield results with the server's times, each with its start; what the allow-list kept us from is no failure.

    They are changed, and nobody else's any more: to copy each costs as much as to write it down.
    """
    now = server_clock.now()
    shift = now - clock.now()
    for result in results:
        started_at = corrected(result.started_at, due_at=result.due_at, shift=shift, now=now)
        result.started_at = started_at
        try:
            yield record_of(_without_blame(result)), started_at
        except ValueError:
            logger.exception("the result of check %s cannot be written down", result.check_id)


def not_run(turn: ClaimedTurn, code: str, values: dict[str, str], now: datetime) -> Record:
    """Return the result of a turn that cannot be run here, for the reason that ``code`` names."""
    return record_of(
        NewResult(
            check_id=turn.check_id,
            tenant_id=turn.tenant_id,
            region_id=turn.region_id,
            due_at=turn.due_at,
            started_at=max(now, turn.due_at),
            verdict=Verdict.UNKNOWN,
            error_code=code,
            error_values=values,
        )
    )


def _without_blame(result: NewResult) -> NewResult:
    if result.error_code != "address_forbidden":
        return result
    values = {name: value for name, value in (result.error_values or {}).items() if name != "reason"}
    return replace(result, verdict=Verdict.UNKNOWN, error_code="outside_allow_list", error_values=values)
