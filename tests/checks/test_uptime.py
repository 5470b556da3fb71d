"""The last days of checks, to the second, and the same as on a status page."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.checks.domain.days import Day, Uptime, uptime_of
from apps.checks.domain.uptime import daily_uptime
from apps.checks.enums import State
from apps.checks.models import Check, Hindsight
from apps.core.tenancy import tenant_scope
from apps.statuspages.domain.board import board_of
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page
from apps.tenants.models import Tenant
from tests.statuspages.histories import at, live_through, watch

pytestmark = pytest.mark.django_db
UTC, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
NOW = at("21 10:00")


def days_of_one(check: Check, zone: ZoneInfo = UTC, now: datetime = NOW) -> list[Day]:
    with time_machine.travel(now, tick=False):
        return daily_uptime([check.id], zone=zone)[check.id]


def test_quiet_check_was_up_on_all_days_and_today_until_now(in_acme: Tenant) -> None:
    check = watch("API", ("2026-01-01 00:00", State.UP))

    days = days_of_one(check)

    assert days == [Day(up=DAY)] * 89 + [Day(up=10 * HOUR)]
    assert uptime_of(days).thousandths == 100_000


def test_each_state_counts_its_seconds_on_its_day(in_acme: Tenant) -> None:
    check = watch(
        "API",
        ("2026-01-01 00:00", State.UP),
        ("18 23:59:30", State.DOWN),
        ("19 00:01:00", State.UP),
        ("19 10:00", State.DEGRADED),
        ("19 10:30", State.DOWN),
        ("19 11:00", State.UP),
        ("20 04:00", State.MAINTENANCE),
        ("20 06:00", State.UNKNOWN),
        ("20 07:00", State.UP),
        ("21 09:59", State.DOWN),
    )

    days = days_of_one(check)

    assert days[-4:] == [
        Day(up=DAY - 30, down=30),
        Day(up=DAY - HOUR - MINUTE, degraded=30 * MINUTE, down=31 * MINUTE),
        Day(up=DAY - 3 * HOUR, maintenance=2 * HOUR),
        Day(up=10 * HOUR - MINUTE, down=MINUTE),
    ]
    assert [day.sign for day in days[-5:]] == ["up", "down", "down", "maintenance", "down"]
    assert uptime_of(days[-4:]) == Uptime(watched=3 * DAY + 10 * HOUR - 3 * HOUR, down=30 + 32 * MINUTE)


def test_nothing_is_known_before_the_birth_nor_while_nobody_looked(in_acme: Tenant) -> None:
    born = watch("Young", ("20 06:00", State.UP), since="20 05:00")
    paused = watch("Paused", ("2026-01-01 00:00", State.PAUSED))
    new = watch("New", since="21 09:00")

    assert days_of_one(born)[-3:] == [Day(), Day(up=18 * HOUR), Day(up=10 * HOUR)]
    assert days_of_one(paused) == [Day()] * 90
    assert days_of_one(new) == [Day()] * 90


def test_days_begin_at_midnight_where_the_tenant_is(in_acme: Tenant) -> None:
    check = watch("API", ("2026-01-01 00:00", State.UP), ("19 22:30", State.DOWN), ("19 23:30", State.UP))
    autumn = watch("Autumn", ("2026-01-01 00:00", State.UP))

    assert days_of_one(check, BERLIN)[-3:-1] == [Day(up=DAY - 30 * MINUTE, down=30 * MINUTE)] * 2
    assert days_of_one(autumn, BERLIN, at("2026-10-26 12:00"))[-2] == Day(up=25 * HOUR)


def test_days_of_many_checks_take_one_question(in_acme: Tenant) -> None:
    checks = [watch(str(number), ("2026-01-01 00:00", State.UP), ("20 00:00", State.DOWN)) for number in range(3)]

    with CaptureQueriesContext(connection) as asked:
        found = daily_uptime([check.id for check in checks], zone=UTC)

    assert len([query for query in asked if "checks_flip" in query["sql"]]) == 1
    assert list(found) == [check.id for check in checks]


def test_strangers_days_are_not_there(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = watch("Theirs", ("20 00:00", State.DOWN))

    with tenant_scope(acme.id):
        assert daily_uptime([theirs.id], zone=UTC) == {}
    with tenant_scope(globex.id):
        assert list(daily_uptime([theirs.id], zone=UTC)) == [theirs.id]


STATES = st.sampled_from([state for state in State if state != State.NEW])
PASTS = st.lists(st.tuples(st.floats(0, 2.9 * DAY), STATES), max_size=12)


# When it began, how long it is, what was learned.
LATE = st.lists(
    st.tuples(st.floats(0, 2.9 * DAY), st.floats(0, 6 * HOUR), st.sampled_from([State.UP, State.DEGRADED, State.DOWN])),
    max_size=4,
)


@given(past=PASTS, late=LATE)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_figures_are_those_of_the_status_page(
    in_acme: Tenant, past: list[tuple[float, State]], late: list[tuple[float, float, State]]
) -> None:
    check = watch("API", since="2026-11-18 10:00:00.250")
    page = create_page(title="Acme", slug="acme-figures")
    add_component(page, check)
    live_through(check, [(at("18 10:00:01") + timedelta(seconds=after), state) for after, state in sorted(past)])
    reached = 0.0
    for after, seconds, state in sorted(late):  # none touches another
        begin, reached = max(after, reached), max(after, reached) + seconds
        since_at = at("18 10:00:01") + timedelta(seconds=begin)
        until_at = at("18 10:00:01") + timedelta(seconds=reached)
        Hindsight.objects.create(watched=check, since_at=since_at, until_at=until_at, state=state)

    with time_machine.travel(NOW, tick=False):
        shown = board_of(page, NOW).components[0]
        days = daily_uptime([check.id], zone=UTC)[check.id]

    assert days == list(shown.days)
    assert uptime_of(days) == shown.uptime
    page.delete()
    check.delete()
