"""A heartbeat's alarm: the sweep looks in time whatever moved the deadline, and most pings leave every index alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.checks.domain.heartbeat_sweep import BATCH, SLEEP_ON, sweep_heartbeats
from apps.checks.domain.pings import PingStore
from apps.checks.domain.waiting import LATE_HEARTBEATS
from apps.checks.enums import State
from apps.checks.models import CheckState, Flip, Heartbeat, PingDoor
from apps.core import clock
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_pings import NOW, heartbeat, ping, scope, token_of

__all__ = ["scope"]
pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = st.integers(min_value=-200, max_value=400)


def minute(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def sweep_at(moment: datetime) -> None:
    with time_machine.travel(moment, tick=False):
        PingDoor.objects.update_or_create(name="http", defaults={"seen_at": clock.now()})
        sweep_heartbeats()


@pytest.fixture
def token(scope: Tenant) -> str:
    """A heartbeat that reported once, at minute 0; its deadline is minute 70."""
    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        found = token_of(heartbeat())
    PingStore().store([ping(found)])
    return found


@pytest.fixture
def two(acme: Tenant) -> Iterator[list[Heartbeat]]:
    with tenant_scope(acme.id):
        for name in ("Backup", "Export"):
            heartbeat(name)
        CheckState.objects.update(state=State.UP, since_at=MIDNIGHT - timedelta(days=1))
        yield list(Heartbeat.objects.order_by("pk"))


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 1), st.none() | MINUTES, st.none() | MINUTES, st.sampled_from(("ping", "move", "sweep"))
        ),
        max_size=8,
    )
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sweep_finds_whom_a_look_at_every_deadline_would_find(
    two: list[Heartbeat], steps: list[tuple[int, int | None, int | None, str]]
) -> None:
    """Deadlines are written as pings, people and the release before write them: none of them names the alarm."""
    Flip.objects.all().delete()
    CheckState.objects.update(state=State.UP, since_at=MIDNIGHT - timedelta(days=1))
    Heartbeat.objects.update(deadline_at=None)
    deadlines: dict[object, datetime | None] = {one.pk: None for one in two}
    expected: list[tuple[object, datetime]] = []
    for place, (which, first, second, what) in enumerate(steps):
        one, now = two[which], MIDNIGHT + timedelta(minutes=50 * place)
        deadline = None if first is None else now + timedelta(minutes=first)
        if what == "sweep":
            sweep_at(now)
            for pk, at in deadlines.items():
                if at is not None and at <= now and (pk not in {late for late, _at in expected}):
                    expected.append((pk, at))
                    deadlines[pk] = None
        elif one.pk not in {late for late, _at in expected}:
            heard = {"last_ping_at": None if second is None else now} if what == "ping" else {}
            Heartbeat.objects.filter(pk=one.pk).update(deadline_at=deadline, **heard)
            deadlines[one.pk] = deadline
        kept = {pk: (at, wake_at) for pk, at, wake_at in Heartbeat.objects.values_list("pk", "deadline_at", "wake_at")}
        assert {pk: at for pk, (at, _wake) in kept.items()} == deadlines
        assert all(wake is not None and wake <= at for at, wake in kept.values() if at is not None)

    assert sorted(Flip.objects.values_list("watched_id", "at")) == sorted(expected)


def test_alarm_that_rings_too_early_is_set_to_the_deadline(token: str) -> None:
    PingStore().store([ping(token, minutes=30)])
    made = Heartbeat.objects.get()
    assert (made.wake_at, made.deadline_at) == (minute(70), minute(100))

    sweep_at(minute(71))

    made.refresh_from_db()
    assert (made.wake_at, made.deadline_at) == (minute(100), minute(100))
    assert Flip.objects.filter(after="down").count() == 0

    sweep_at(minute(140))
    assert [flip.at for flip in Flip.objects.filter(after="down")] == [minute(100)]


def test_alarm_of_regular_reports_moves_before_it_rings_in_vain(token: str) -> None:
    PingStore().store([ping(token, minutes=60)])

    assert Heartbeat.objects.get().wake_at == minute(130)


def test_deadline_that_comes_nearer_takes_its_alarm_along(token: str) -> None:
    Heartbeat.objects.update(deadline_at=minute(5))
    assert Heartbeat.objects.get().wake_at == minute(5)

    Heartbeat.objects.update(wake_at=None)
    assert Heartbeat.objects.get().wake_at == minute(5)


def test_alarm_of_one_that_is_down_rings_once_more_and_is_gone(token: str) -> None:
    Heartbeat.objects.update(deadline_at=None)
    CheckState.objects.update(state=State.DOWN)
    assert Heartbeat.objects.get().wake_at == minute(70)

    sweep_at(minute(71))

    assert Heartbeat.objects.get().wake_at is None


def test_scheduler_starts_the_sweep_for_an_early_alarm(scope: Tenant) -> None:
    heartbeat()
    CheckState.objects.update(state=State.UP)
    now = clock.now()
    Heartbeat.objects.update(deadline_at=now - timedelta(hours=1))
    Heartbeat.objects.update(deadline_at=now + timedelta(days=1))
    assert is_asked_for()

    sweep_at(now)

    assert not is_asked_for()


@pytest.mark.parametrize("also", ["", "SET LOCAL enable_hashagg = off; SET LOCAL enable_sort = off"])
def test_as_many_alarms_are_set_at_once_as_were_asked_for_whatever_the_plan(acme: Tenant, also: str) -> None:
    with tenant_scope(acme.id):
        for number in range(6):
            heartbeat(f"Job {number}")
        Heartbeat.objects.update(wake_at=minute(0), deadline_at=minute(70))

    with system_scope("the sweep serves every tenant"), connection.cursor() as cursor:
        prefer_keys(cursor, "SET LOCAL enable_material = off", *filter(None, [also]))
        cursor.execute(SLEEP_ON.replace(f"LIMIT {BATCH}", "LIMIT 2"), {"now": minute(1)})
        assert cursor.rowcount == 2


def is_asked_for() -> bool:
    with system_scope("the scheduler asks for every tenant"), connection.cursor() as cursor:
        cursor.execute(LATE_HEARTBEATS)
        return cursor.fetchone() is not None


def test_pings_leave_the_indexes_alone(token: str) -> None:
    before = row_updates()

    for count in range(1, 6):
        PingStore().store([ping(token, minutes=count)])

    after = row_updates()
    assert (after[0] - before[0], after[1] - before[1]) == (5, 5)
    assert Heartbeat.objects.get().deadline_at == minute(75)


def row_updates() -> tuple[int, int]:
    """Return how many heartbeats were updated in this transaction, and how many of these without an index entry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid)"
            " FROM pg_class WHERE relname = 'checks_heartbeat'"
        )
        found: tuple[int, int] = cursor.fetchone()
        return found
