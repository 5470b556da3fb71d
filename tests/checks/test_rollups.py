"""Rollups say what the results said, hour by hour and day by day, and are what long charts read."""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.domain import rollups
from apps.checks.domain.charts import latency_chart
from apps.checks.domain.percentiles import HIGHEST, LOWEST, bucket_of, percentile, upper_bound
from apps.checks.domain.queries import availability, latency_series
from apps.checks.domain.rollups import (
    forget_old_rollups,
    roll_up,
    rolled_availability,
    rolled_series,
    rolled_until,
)
from apps.checks.enums import Verdict
from apps.checks.models import Check, DayRollup, HourRollup, Result, RolledHour
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.rivals import at_once

pytestmark = pytest.mark.django_db
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """Noon UTC of today: results have partitions for today and the days to come alone."""
    today = clock.now().replace(hour=12, minute=0, second=0, microsecond=0)
    with time_machine.travel(today, tick=False) as traveller:
        yield traveller


def see(
    check: Check, minutes: float, verdict: Verdict = Verdict.SUCCESS, ms: float | None = 10.0, region: int = 1
) -> None:
    """A result so many minutes after (or before) noon."""
    at = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) + minutes * MINUTE
    Result.objects.create(
        tenant_id=check.tenant_id,
        check_id=check.id,
        region_id=region,
        due_at=at,
        started_at=at,
        verdict=verdict,
        total_ms=ms,
        dns_ms=ms and ms / 10,
        connect_ms=None,
        tls_ms=None,
        first_byte_ms=ms and ms / 2,
        transfer_ms=0,
    )


@given(ms=st.floats(0.01, 500_000))
def test_bucket_holds_its_time_and_is_at_most_a_fifth_wide(ms: float) -> None:
    bucket = bucket_of(ms)

    assert LOWEST <= bucket <= HIGHEST
    assert upper_bound(bucket - 1) <= ms * 1.000001
    assert ms <= upper_bound(bucket) <= ms * 1.19 * 1.001


@given(times=st.lists(st.floats(0.1, 60_000), min_size=1, max_size=50), ratio=st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentile_is_never_too_low_and_at_most_a_fifth_too_high(times: list[float], ratio: float) -> None:
    counts: dict[int, int] = {}
    for ms in times:
        counts[bucket_of(ms)] = counts.get(bucket_of(ms), 0) + 1
    exact = sorted(times)[max(-(-int(ratio * 100) * len(times) // 100) - 1, 0)]

    found = percentile(counts, ratio)

    assert found is not None
    assert exact <= found <= exact * 1.2


def test_percentile_of_nothing_is_none() -> None:
    assert percentile({}, 0.95) is None


def test_hour_counts_verdicts_times_and_phases(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check = make_check()
    for minute, verdict, ms in (
        (0, Verdict.SUCCESS, 10.0),
        (1, Verdict.SUCCESS, 20.0),
        (2, Verdict.DEGRADED, 400.0),
        (3, Verdict.FAILURE, None),
        (4, Verdict.UNKNOWN, None),
        (59.9, Verdict.SUCCESS, 10.0),
        (60, Verdict.SUCCESS, 10.0),
    ):
        see(check, minute, verdict, ms)
    noon.shift(HOUR + 5 * MINUTE)

    rolled = roll_up()

    row = HourRollup.objects.get()
    assert (rolled, row.check_id, row.region_id, row.at) == (1, check.id, 1, clock.now() - HOUR - 5 * MINUTE)
    assert (row.failed, row.good, row.slow, row.unmeasured, row.timed) == (1, 3, 1, 1, 4)
    assert (row.sum_ms, row.min_ms, row.max_ms) == (440, 10, 400)
    assert row.phase_sums == pytest.approx([44, 0, 0, 220, 0])
    assert row.phase_counts == [4, 0, 0, 4, 6]
    assert dict(zip(row.buckets, row.bucket_counts, strict=True)) == {
        bucket_of(10): 2,
        bucket_of(20): 1,
        bucket_of(400): 1,
    }


def test_hour_is_rolled_once_after_its_grace_and_its_day_with_it(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check = make_check()
    see(check, 5)
    see(check, 65, Verdict.FAILURE, None)
    counts = []

    for minutes in (64, 1, 1, 58, 5):
        noon.shift(minutes * MINUTE)
        counts.append(roll_up())

    assert counts == [0, 1, 0, 0, 1]
    assert [(row.failed, row.good) for row in HourRollup.objects.order_by("at")] == [(0, 1), (1, 0)]
    day = DayRollup.objects.get()
    assert (day.failed, day.good, day.timed, day.at.hour) == (1, 1, 1, 0)


def test_job_that_slept_rolls_all_hours(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check = make_check()
    for hour in range(6):
        see(check, 60 * hour + 1)
    noon.shift(7 * HOUR)

    assert roll_up() == 6
    assert HourRollup.objects.count() == 6
    assert DayRollup.objects.get().good == 6


def test_series_and_availability_say_what_results_say(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check, other = make_check(), make_check("Other")
    start = clock.now()
    for minute in range(0, 240, 7):
        see(check, minute, Verdict.FAILURE if minute % 5 == 0 else Verdict.SUCCESS, 10.0 + minute)
        see(other, minute)
    noon.shift(4 * HOUR + 1 * MINUTE)  # the last hour is not rolled up yet
    roll_up()

    for step in (HOUR, 2 * HOUR):
        span = {"since": start, "until": start + 5 * HOUR, "step": step}
        rolled, raw = rolled_series(check.id, **span), latency_series(check.id, **span)  # type: ignore[arg-type]
        assert [(one.at, one.results, one.failures) for one in rolled] == [(o.at, o.results, o.failures) for o in raw]
        for one, same in zip(rolled, raw, strict=True):
            assert one.average_ms == pytest.approx(same.average_ms)
            assert one.worst_ms == pytest.approx(same.worst_ms)
            assert one.phases == pytest.approx(same.phases)
    for since in (start, start + 33 * MINUTE, start + 3.5 * HOUR):
        mine, theirs = rolled_availability(check.id, since=since), availability(check.id, since=since)
        assert (mine.measured, mine.good) == (theirs.measured, theirs.good)
        assert mine.average_ms == pytest.approx(theirs.average_ms)
    assert rolled_until() == start + 3 * HOUR
    p95 = rolled_availability(check.id, since=start).p95_ms
    assert p95 is not None
    assert 233 <= p95 <= 248 * 1.2


def test_long_chart_reads_whole_hours(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check = make_check()
    see(check, 5, ms=40.0)
    see(check, 65, Verdict.FAILURE, None)
    noon.shift(HOUR + 30 * MINUTE)
    roll_up()
    Result.objects.filter(due_at__lt=clock.now().replace(minute=0)).delete()

    chart = latency_chart(check, period="7d")

    assert len(chart["times"]) == 168
    assert chart["series"][3]["values"][-2:] == [20.0, None]
    assert len(chart["bands"]) == 1


@pytest.mark.parametrize(
    ("interval", "period", "minute", "seen", "shown"),
    [
        (60, "6h", 10, [-330, -270, -210, -150, -90, -30], [10, 20, 30, 40, 50, 60]),
        (60, "15m", 2, [-2], [10]),  # the period of a young check
        (90, "6h", 0, [-255], [None, 10, None, None]),  # begins an hour, in steps of an hour and a half
    ],
)
def test_short_chart_of_a_check_that_runs_seldom_shows_its_results_when_they_were(
    in_acme: Tenant,
    noon: time_machine.Traveller,
    interval: int,
    period: str,
    minute: int,
    seen: list[int],
    shown: list[float | None],
) -> None:
    check = make_check(interval_seconds=interval * 60)
    for place, at in enumerate(seen, start=1):
        see(check, at, ms=20.0 * place)
    noon.shift(minute * MINUTE)
    roll_up()

    chart = latency_chart(check, period=period)

    assert chart["series"][3]["values"] == shown


def make_day(check: Check, at: datetime, region: int, failed: int, good: int) -> None:
    empty = {"unmeasured": 0, "slow": 0, "timed": 0, "sum_ms": 0, "phase_sums": [0] * 5, "phase_counts": [0] * 5}
    DayRollup.objects.create(
        tenant_id=check.tenant_id,
        check_id=check.id,
        region_id=region,
        at=at,
        failed=failed,
        good=good,
        buckets=[],
        bucket_counts=[],
        **empty,
    )


def test_strangers_see_no_rollups(acme: Tenant, globex: Tenant, noon: time_machine.Traveller) -> None:
    with tenant_scope(globex.id):
        theirs = make_check()
        see(theirs, 5)
    noon.shift(2 * HOUR)
    roll_up()

    with tenant_scope(acme.id):
        assert DayRollup.objects.filter(check_id=theirs.id).count() == 0
        assert rolled_availability(theirs.id, since=clock.now() - timedelta(days=1)).measured == 0
    with tenant_scope(globex.id):
        assert [(day.failed, day.good) for day in DayRollup.objects.filter(check_id=theirs.id)] == [(0, 1)]


def test_old_rollups_are_forgotten(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check = make_check()
    today = clock.now().replace(hour=0)
    make_day(check, today - timedelta(days=1_101), 1, 0, 1)
    make_day(check, today - timedelta(days=1_000), 1, 0, 1)
    RolledHour.objects.create(at=today - timedelta(days=101), rolled_at=today)

    forget_old_rollups()

    assert (DayRollup.objects.count(), RolledHour.objects.count()) == (1, 0)


@pytest.mark.parametrize("statement", [1, 2, 3, 4])
def test_killed_at_any_statement_all_is_rolled_by_the_next_run(
    in_acme: Tenant, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, statement: int
) -> None:
    check = make_check()
    for hour in range(3):
        see(check, 60 * hour + 1)
    noon.shift(4 * HOUR)
    execute, begun = rollups._execute, iter(range(1, 5))

    def until_killed(*given: Any) -> None:
        if next(begun) == statement:
            raise KeyboardInterrupt
        execute(*given)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(rollups, "_execute", until_killed)
        roll_up()
    roll_up()

    assert HourRollup.objects.count() == 3
    assert DayRollup.objects.get().good == 3


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_roll_each_hour_once(acme: Tenant, noon: time_machine.Traveller) -> None:
    with tenant_scope(acme.id):
        check = make_check()
        for hour in range(3):
            see(check, 60 * hour + 1)
    noon.shift(4 * HOUR)
    counts: list[int] = []

    at_once(lambda: counts.append(roll_up()), workers=3)

    with tenant_scope(acme.id):
        assert sum(counts) == HourRollup.objects.count() == 3
        assert DayRollup.objects.get().good == 3
