"""What a new result makes of a check: the rule as a pure function. `apps.checks.domain.results` says the same in SQL for
whole batches; a property test holds the two together."""

from dataclasses import dataclass

from apps.checks.enums import State, Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """What a check is, and how many results in a row have failed."""

    state: str
    failures: int


def judged(verdict: int, *, total_ms: float | None, degraded_ms: int | None) -> int:
    """Return the verdict after the check's own threshold: a success slower than ``degraded_ms`` is `Verdict.DEGRADED`."""
    is_slow = degraded_ms is not None and total_ms is not None and total_ms > degraded_ms
    return Verdict.DEGRADED if verdict == Verdict.SUCCESS and is_slow else verdict


def next_standing(now: Standing, *, verdict: int, retries: int) -> Standing:
    """Return the standing after a judged result.

    A failure within the retries changes only the count. What was not measured changes nothing: our own trouble is never
    the customer's outage. A paused check stays paused.
    """
    if now.state == State.PAUSED or verdict == Verdict.UNKNOWN:
        return now
    if verdict == Verdict.SUCCESS:
        return Standing(State.UP, 0)
    if verdict == Verdict.DEGRADED:
        return Standing(State.DEGRADED, 0)
    failures = now.failures + 1
    return Standing(State.DOWN if failures > retries else now.state, failures)


def waits_for_retry(after: Standing) -> bool:
    """Tell whether the next turn comes after the retry interval instead of the usual one."""
    return after.failures > 0 and after.state not in (State.DOWN, State.PAUSED)
