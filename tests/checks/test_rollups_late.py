"""Results that come late are counted in the hours and days that were rolled up before, each of them once."""

import contextlib
import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from apps.checks.domain import rollups
from apps.checks.domain.queries import availability
from apps.checks.domain.results import store_results
from apps.checks.domain.rollups import (
    DAY,
    forget_old_rollups,
    hour_of,
    note_late,
    note_overdue,
    roll_up,
    rolled_availability,
)
from apps.checks.enums import Verdict
from apps.checks.models import DayRollup, HourRollup, Region, Result, RolledHour, Turn
from apps.core import clock
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_rollups import HOUR, MINUTE, noon, see
from tests.factories.checks import make_check, make_result
from tests.rivals import meanwhile

__all__ = ["noon"]
pytestmark = pytest.mark.django_db


def test_late_results_are_rolled_anew(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    check = make_check()
    see(check, 5)
    noon.shift(2 * HOUR)
    roll_up()
    before = (HourRollup.objects.get(at__hour=12).good, DayRollup.objects.get().good)

    see(check, 6)
    note_late([clock.now() - 2 * HOUR + 6 * MINUTE])
    rolled = roll_up()

    assert (before, rolled) == ((1, 1), 1)
    assert (HourRollup.objects.get(at__hour=12).good, DayRollup.objects.get().good) == (2, 2)


def test_agents_hours_are_looked_at_again_when_their_buffers_have_run_dry(
    in_acme: Tenant, noon: time_machine.Traveller
) -> None:
    region = Region.objects.create(code="theirs", is_private=True)
    check = make_check()
    see(check, 5, region=region.id)
    noon.shift(HOUR + 5 * MINUTE)
    roll_up()
    see(check, 6, region=region.id)

    noon.shift(69 * MINUTE)
    next_hour, early = roll_up(), roll_up()
    noon.shift(2 * MINUTE)
    second, third = roll_up(), roll_up()

    assert (next_hour, early, second, third) == (1, 0, 1, 0)
    assert HourRollup.objects.get().good == 2


def test_hour_before_all_that_was_rolled_up_is_rolled_when_an_agent_brings_it(
    in_acme: Tenant, noon: time_machine.Traveller
) -> None:
    check = make_check()
    see(check, 5)
    noon.shift(HOUR + 5 * MINUTE)
    roll_up()

    for minute in (-125, -61):
        see(check, minute)
        note_late([clock.now().replace(hour=12, minute=0) + minute * MINUTE])
    rolled = roll_up()

    assert rolled == 2
    assert [row.at.hour for row in HourRollup.objects.order_by("at")] == [9, 10, 12]
    assert DayRollup.objects.get().good == 3


def test_result_of_a_prober_that_comes_back_counts_in_the_hour_it_was_due_in(
    in_acme: Tenant, noon: time_machine.Traveller
) -> None:
    check = make_check(due_at=clock.now() + 59 * MINUTE)
    see(check, 5)
    noon.shift(2 * HOUR)
    roll_up()

    store_results([make_result(check)])
    roll_up()

    assert [(row.at.hour, row.good) for row in HourRollup.objects.order_by("at")] == [(12, 2)]
    assert DayRollup.objects.get().good == 2


def test_hour_whose_results_were_dropped_keeps_its_rollup(
    in_acme: Tenant, noon: time_machine.Traveller, settings: Any
) -> None:
    check = make_check()
    see(check, 5)
    noon.shift(2 * HOUR)
    roll_up()
    due_at = clock.now() - 115 * MINUTE
    Result.objects.all().delete()
    noon.shift(timedelta(days=settings.RESULT_RETENTION_DAYS))

    note_late([due_at])
    roll_up()

    assert HourRollup.objects.get(check_id=check.id).good == 1


def test_day_whose_hours_were_dropped_keeps_its_rollup_though_one_of_its_results_comes_now(
    in_acme: Tenant, noon: time_machine.Traveller
) -> None:
    check = make_check()
    for minutes in (5, 65, 66):
        see(check, minutes)
    due_at = clock.now() + 6 * MINUTE
    noon.shift(3 * HOUR)
    roll_up()
    see(check, 6)
    noon.shift(rollups.KEEP_HOURS + 20 * DAY)
    RolledHour.objects.create(at=hour_of(clock.now()) - HOUR, rolled_at=clock.now())
    forget_old_rollups()

    note_overdue([due_at])
    roll_up()

    assert [row.good for row in DayRollup.objects.order_by("at")[:1]] == [3]


def test_any_story_rolls_up_to_what_its_results_say(in_acme: Tenant, noon: time_machine.Traveller) -> None:
    """Results in time and late, from several regions, jobs that come late or die: in the end all is counted once."""
    luck = random.Random(33)
    checks = [make_check(name, regions=[1]) for name in ("one", "two")]
    begin, seen = clock.now(), set[tuple[int, int, int]]()
    verdicts = (Verdict.SUCCESS, Verdict.FAILURE, Verdict.DEGRADED, Verdict.UNKNOWN)
    for _step in range(40):
        noon.shift(luck.randint(1, 15) * MINUTE)
        passed = int((clock.now() - begin) / MINUTE)
        late = []
        for _result in range(luck.randint(0, 6)):
            which, minute, region = luck.randrange(2), luck.randint(max(passed - 90, -600), passed), luck.choice([1, 2])
            if (which, minute, region) in seen:
                continue
            seen.add((which, minute, region))
            verdict = luck.choice(verdicts)
            ms = None if verdict in (Verdict.FAILURE, Verdict.UNKNOWN) else luck.randint(1, 900)
            see(checks[which], minute, verdict, ms, region)
            late.append(begin + minute * MINUTE)
        note_overdue(late)
        if luck.random() < 0.3:
            with contextlib.suppress(RuntimeError), transaction.atomic():
                roll_up()
                if luck.random() < 0.5:
                    raise RuntimeError  # as killed: nothing of it is there
    noon.shift(HOUR + 6 * MINUTE)
    roll_up()

    for model, span in ((HourRollup, "hour"), (DayRollup, "day")):
        assert sorted(counted(model.objects.all())) == sorted(told(span))
    for check in checks:
        for since in (begin - 2 * HOUR, begin + 77 * MINUTE, begin + 3 * HOUR):
            mine, raw = rolled_availability(check.id, since=since), availability(check.id, since=since)
            assert (mine.measured, mine.good) == (raw.measured, raw.good)


def counted(rows: Iterable[Any]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        counts = (row.failed, row.good, row.slow, row.unmeasured, row.timed, round(row.sum_ms), row.max_ms)
        yield row.at, str(row.check_id), row.region_id, *counts, sum(row.bucket_counts)


def told(span: str) -> Iterator[tuple[object, ...]]:
    """The same from the results, one by one."""
    kept: dict[tuple[datetime, str, int], list[Result]] = {}
    for result in Result.objects.all():
        at = result.due_at.replace(minute=0) if span == "hour" else result.due_at.replace(minute=0, hour=0)
        kept.setdefault((at, str(result.check_id), result.region_id), []).append(result)
    for key, results in kept.items():
        times = [result.total_ms for result in results if result.total_ms is not None]
        counts = [
            sum(result.verdict == verdict for result in results)
            for verdict in (Verdict.FAILURE, Verdict.SUCCESS, Verdict.DEGRADED, Verdict.UNKNOWN)
        ]
        yield *key, *counts, len(times), round(sum(times)), max(times, default=None), len(times)


@pytest.mark.django_db(transaction=True)
def test_late_results_of_an_hour_that_is_being_rolled_hold_no_turns_until_it_is(
    acme: Tenant, noon: time_machine.Traveller
) -> None:
    with tenant_scope(acme.id):
        check = make_check(due_at=clock.now() + 59 * MINUTE)
        see(check, 5)
        late = make_result(check)
    noon.shift(2 * HOUR)
    roll_up()

    def begin_to_roll() -> None:
        RolledHour.objects.select_for_update().get()

    def end() -> None:
        Turn.unscoped.select_for_update(nowait=True).get()
        RolledHour.objects.update(rolled_at=clock.now())

    with meanwhile(system_scope("as the job that rolls up"), begin_to_roll, then=end):
        store_results([late])
    again = roll_up()

    with tenant_scope(acme.id):
        assert (again, HourRollup.objects.get().good, DayRollup.objects.get().good) == (1, 2, 2)
