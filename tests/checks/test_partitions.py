"""The days that results are kept in, and what came before its day was there."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from apps.checks.domain.partitions import Turnover, turn_over_partitions
from apps.checks.enums import Verdict
from apps.checks.models import Result
from apps.core import clock
from apps.core.tenancy import system_scope
from apps.tenants.models import Tenant

pytestmark = pytest.mark.django_db


def stray(tenant: Tenant, due_at: datetime) -> Result:
    """Store a result of a day that has no partition."""
    return Result.objects.create(
        tenant_id=tenant.id, check_id=uuid4(), due_at=due_at, started_at=due_at, verdict=Verdict.SUCCESS, total_ms=12.5
    )


def homes() -> dict[str, tuple[float, str]]:
    """Return each result's time and partition, by its check."""
    with system_scope("test"), connection.cursor() as cursor:
        cursor.execute("SELECT check_id, total_ms, tableoid::regclass::text FROM checks_result")
        return {str(check_id): (ms, home) for check_id, ms, home in cursor.fetchall()}


def is_walled(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [table])
        return bool(cursor.fetchone()[0])


def test_results_that_came_before_their_days_partition_move_into_it(in_acme: Tenant) -> None:
    days = [clock.now() + timedelta(days=number) for number in (30, 30, 90)]
    results = [stray(in_acme, day) for day in days]
    before = homes()

    turn_over_partitions()

    after = homes()
    assert {before[str(result.check_id)] for result in results} == {(12.5, "checks_result_default")}
    for result, day in zip(results, days, strict=True):
        home = f"checks_result_{day:%Y%m%d}"
        assert after[str(result.check_id)] == (12.5, home)
        assert is_walled(home)
    assert is_walled("checks_result_default")


def test_what_is_past_its_time_goes_wherever_it_lay(in_acme: Tenant) -> None:
    kept = stray(in_acme, clock.now() - timedelta(days=settings.RESULT_RETENTION_DAYS - 1))
    past = stray(in_acme, clock.now() - timedelta(days=settings.RESULT_RETENTION_DAYS + 2))

    turn_over_partitions()

    assert str(kept.check_id) in homes()
    assert str(past.check_id) not in homes()


def test_turning_over_twice_makes_and_drops_nothing_more(in_acme: Tenant) -> None:
    stray(in_acme, clock.now() + timedelta(days=40))
    turn_over_partitions()

    again = turn_over_partitions()

    assert (again.made, again.dropped) == (0, 0)


def test_the_partition_for_strays_keeps_no_pages_of_those_that_found_their_day(in_acme: Tenant) -> None:
    """By its size the job sees whether it has to lock all results."""
    stray(in_acme, clock.now() + timedelta(days=40))
    turn_over_partitions()

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('checks_result_default')")
        assert cursor.fetchone() == (0,)


@contextmanager
def results_in_use() -> Iterator[None]:
    """Somebody reads results, and takes their time."""
    reads, is_over = threading.Event(), threading.Event()

    def work() -> None:
        try:
            with system_scope("test"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM checks_result")
                reads.set()
                assert is_over.wait(120)
        finally:
            reads.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(work)
        assert reads.wait(60)
        try:
            yield
        finally:
            is_over.set()
        reading.result(timeout=60)


@pytest.mark.django_db(transaction=True)
def test_results_in_use_are_turned_over_another_time(in_acme: Tenant) -> None:
    found = stray(in_acme, clock.now() + timedelta(days=41))

    with results_in_use():
        assert turn_over_partitions() == Turnover(made=0, dropped=0)

    assert homes()[str(found.check_id)] == (12.5, "checks_result_default")
