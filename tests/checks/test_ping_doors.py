"""Each ping door by itself: whose silence says nothing while one of them is closed, and who is forgiven when it is back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module

import pytest
import time_machine
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from apps.checks.domain import heartbeat_sweep
from apps.checks.domain.flips import Change, change_state
from apps.checks.domain.heartbeat_leaving import leave_maintenance
from apps.checks.domain.heartbeat_sweep import BATCH, LATE, give_sign_of_life, sweep_heartbeats
from apps.checks.domain.ping_doors import LATEST, Door
from apps.checks.domain.ping_mails import Mail, mail_ping
from apps.checks.domain.pings import NewPing, PingStore
from apps.checks.enums import State
from apps.checks.models import Check, Flip, Heartbeat, PingDoor
from apps.checks.tasks import look_for_all_silence, look_for_silence
from apps.checks.types.heartbeat import Signal
from apps.tenants.models import Tenant
from tests.checks.test_heartbeat_sweep import minute
from tests.checks.test_pings import heartbeat, ping, scope, token_of

__all__ = ["scope"]
pytestmark = pytest.mark.django_db
MIGRATION = import_module("apps.checks.migrations.0020_mail_door_closed_as_the_other")


@pytest.fixture(autouse=True)
def takes_mails() -> Iterator[None]:
    with override_settings(PING_MAIL_DOMAIN="ping.example"):
        yield


def mail(token: str, signal: Signal = Signal.SUCCESS, *, minutes: float = 0) -> NewPing:
    made = mail_ping(token, Mail("nas@example.org", "OK", ""), at=minute(minutes), source_ip=None)
    return replace(made, report=replace(made.report, signal=signal))


def reported(name: str, *doors: Door) -> Check:
    """Return a heartbeat that reported by these doors, in that order, at minute 0; its deadline is minute 70."""
    check = heartbeat(name)
    token = token_of(check)
    PingStore().store([mail(token) if door == Door.MAIL else ping(token) for door in doors])
    return check


@pytest.fixture
def by_http(scope: Tenant) -> Check:
    return reported("By HTTP", Door.MAIL, Door.HTTP)


@pytest.fixture
def by_mail(scope: Tenant) -> Check:
    return reported("By mail", Door.HTTP, Door.MAIL)


def open_until(count: float, *doors: Door) -> None:
    """Have doors been open all the time until that minute."""
    for door in doors:
        PingDoor.objects.update_or_create(name=door, defaults={"seen_at": minute(count)})


def open_at(count: float, *doors: Door, step: float = 0) -> list[timedelta | None]:
    """Give signs of life at that minute, and return the gaps."""
    with time_machine.travel(minute(count), tick=False):
        return [give_sign_of_life(door, timedelta(minutes=step)) for door in doors]


def sweep_at(count: float) -> list[tuple[str, str, datetime]]:
    """Sweep as of that minute, and return what flipped since all were up."""
    with time_machine.travel(minute(count), tick=False):
        sweep_heartbeats()
    return flips()


def flips() -> list[tuple[str, str, datetime]]:
    return list(
        Flip.objects.exclude(before="new").order_by("at", "watched__name").values_list("watched__name", "after", "at")
    )


def standing(check: Check) -> tuple[datetime | None, bool]:
    found = Heartbeat.objects.get(watched=check)
    return found.deadline_at, found.is_doubtful


@pytest.mark.usefixtures("by_http", "by_mail")
@pytest.mark.parametrize(
    ("doors", "judged"),
    [
        ((), []),
        ((Door.HTTP,), ["By HTTP"]),
        ((Door.MAIL,), ["By mail"]),
        ((Door.HTTP, Door.MAIL), ["By HTTP", "By mail"]),
    ],
)
def test_only_those_are_judged_whose_door_is_open(doors: tuple[Door, ...], judged: list[str]) -> None:
    open_until(60, Door.HTTP, Door.MAIL)
    open_until(72, *doors)

    assert sweep_at(72) == [(name, "down", minute(70)) for name in judged]


@pytest.mark.usefixtures("by_mail")
def test_mail_door_that_never_gave_a_sign_of_life_has_nobody_judged() -> None:
    open_until(72, Door.HTTP)

    assert sweep_at(72) == []


def migrate() -> None:
    with connection.cursor() as cursor:
        cursor.execute(MIGRATION.MAIL_AS_HTTP)


def test_upgrade_from_one_sign_for_both_doors_is_forgiven_to_who_reports_by_mail(by_mail: Check) -> None:
    open_until(55, Door.HTTP)

    migrate()

    assert open_at(75, Door.HTTP, Door.MAIL) == [timedelta(minutes=20), timedelta(minutes=20)]
    assert standing(by_mail) == (minute(90), True)


@pytest.mark.parametrize("before", [{}, {Door.HTTP: 55, Door.MAIL: 50}])
def test_upgrade_makes_up_no_sign_of_life(scope: Tenant, before: dict[Door, float]) -> None:
    for door, count in before.items():
        open_until(count, door)

    migrate()

    assert dict(PingDoor.objects.values_list("name", "seen_at")) == {
        door: minute(count) for door, count in before.items()
    }


@pytest.mark.usefixtures("by_http", "by_mail")
@override_settings(PING_MAIL_DOMAIN="")
def test_nothing_is_asked_of_mails_where_none_are_taken() -> None:
    """As after the operator has given up taking them: what reported by mail is awaited over HTTP."""
    open_until(55, Door.HTTP)
    assert open_at(75, Door.HTTP) == [timedelta(minutes=20)]

    assert set(Heartbeat.objects.values_list("deadline_at", "is_doubtful")) == {(minute(90), True)}
    open_until(91, Door.HTTP)
    assert sweep_at(91) == [("By HTTP", "unknown", minute(90)), ("By mail", "unknown", minute(90))]


@pytest.mark.parametrize(("door", "forgiven"), [(Door.HTTP, "By HTTP"), (Door.MAIL, "By mail")])
def test_what_one_door_missed_is_forgiven_and_nothing_else(
    by_http: Check, by_mail: Check, door: Door, forgiven: str
) -> None:
    """One door was closed from minute 55 to 65, when the reports of minute 60 were expected."""
    other = Door.MAIL if door == Door.HTTP else Door.HTTP
    open_until(55, door)
    open_until(65, other)

    assert open_at(65, door) == [timedelta(minutes=10)]

    assert {check.name: standing(check) for check in (by_http, by_mail)} == {
        name: (minute(80), True) if name == forgiven else (minute(70), False) for name in ("By HTTP", "By mail")
    }


def test_mail_that_its_server_kept_for_hours_finds_its_heartbeat_unknown_not_down(by_mail: Check) -> None:
    """The mail door was closed from minute 55 to 75, and the sender's server tries again at minute 120 only."""
    open_until(55, Door.MAIL)
    open_until(75, Door.HTTP)
    assert sweep_at(75) == []
    assert open_at(75, Door.MAIL) == [timedelta(minutes=20)]
    open_until(91, Door.HTTP, Door.MAIL)
    assert sweep_at(91) == [("By mail", "unknown", minute(90))]

    with time_machine.travel(minute(120), tick=False):
        PingStore().store([mail(token_of(by_mail), minutes=120)])

    assert flips() == [("By mail", "unknown", minute(90)), ("By mail", "up", minute(120))]
    assert standing(by_mail) == (minute(190), False)


def test_late_report_is_no_failure_where_its_door_gave_no_sign_of_life(by_http: Check, by_mail: Check) -> None:
    open_until(72, Door.HTTP)

    with time_machine.travel(minute(72), tick=False):
        PingStore().store([mail(token_of(by_mail), minutes=72), ping(token_of(by_http), minutes=72)])

    assert flips() == [("By HTTP", "down", minute(70)), ("By HTTP", "up", minute(72))]


def test_job_that_begins_over_http_and_ends_by_mail_is_awaited_by_mail(by_mail: Check) -> None:
    PingStore().store([ping(token_of(by_mail), Signal.START, minutes=59)])
    open_until(72, Door.HTTP)

    assert sweep_at(72) == []
    open_until(73, Door.MAIL)
    assert sweep_at(73) == [("By mail", "down", minute(69))]


@pytest.mark.parametrize("unheeded", [Signal.LOG, Signal.IGNORED])
def test_many_mails_that_say_nothing_hide_no_door(by_mail: Check, unheeded: Signal) -> None:
    PingStore().store([mail(token_of(by_mail), unheeded, minutes=1) for _more_than_looked_at in range(LATEST + 1)])
    open_until(72, Door.HTTP)

    assert sweep_at(72) == []
    open_until(73, Door.MAIL)
    assert sweep_at(73) == [("By mail", "down", minute(70))]


def test_job_whose_only_mail_said_that_it_begins_is_awaited_by_mail(scope: Tenant) -> None:
    PingStore().store([mail(token_of(heartbeat("Begun")), Signal.START)])
    open_until(12, Door.HTTP)

    sweep_at(12)
    assert not Flip.objects.exists()
    open_until(13, Door.MAIL)
    sweep_at(13)
    assert list(Flip.objects.values_list("after", "at")) == [("down", minute(10))]


def test_last_success_says_more_of_the_door_than_what_came_after_it(by_http: Check) -> None:
    PingStore().store([mail(token_of(by_http), Signal.LOG, minutes=1) for _some in range(LATEST - 1)])
    open_until(72, Door.HTTP)

    assert sweep_at(72) == [("By HTTP", "down", minute(70))]


def test_maintenance_that_ends_while_the_mail_door_is_closed_judges_no_mails(by_http: Check, by_mail: Check) -> None:
    for check in (by_http, by_mail):
        change_state(check.id, Change(after=State.MAINTENANCE, at=minute(10)))
    open_until(100, Door.HTTP)

    with time_machine.travel(minute(100), tick=False):
        leave_maintenance([by_http.id, by_mail.id], at=minute(100))

    assert flips()[-2:] == [("By HTTP", "down", minute(100)), ("By mail", "up", minute(100))]


@pytest.mark.parametrize("by", [60, -60])
def test_deadlines_go_with_the_clock_once_though_both_doors_notice(by_http: Check, by_mail: Check, by: int) -> None:
    open_until(30, Door.HTTP, Door.MAIL)

    open_at(30 + by, Door.HTTP, step=by)
    assert (standing(by_http), standing(by_mail)) == ((minute(70 + by), False), (minute(70), False))
    open_at(30 + by, Door.MAIL, step=by)

    assert (standing(by_http), standing(by_mail)) == ((minute(70 + by), False), (minute(70 + by), False))


@pytest.mark.parametrize("look", [look_for_silence, look_for_all_silence])
def test_job_by_http_is_down_at_once_however_many_wait_for_the_mail_door(
    by_http: Check, monkeypatch: pytest.MonkeyPatch, look: Callable[[], None]
) -> None:
    for number in range(4):
        reported(f"Job {number}", Door.MAIL)
    monkeypatch.setattr(heartbeat_sweep, "LATE", LATE.replace(f"LIMIT {BATCH}", "LIMIT 1"))
    open_until(70.1, Door.HTTP)

    with time_machine.travel(minute(70.01), tick=False):
        look()

    assert flips() == [("By HTTP", "down", minute(70))]


@pytest.mark.parametrize("doors", [(Door.HTTP,), (Door.HTTP, Door.MAIL)])
def test_look_of_every_second_leaves_who_is_late_for_long_to_the_other_while_a_door_is_closed(
    by_http: Check, doors: tuple[Door, ...]
) -> None:
    """As those do who wait for the closed door: each look would ask for the doors of all of them."""
    open_until(72, *doors)

    with time_machine.travel(minute(72), tick=False):
        look_for_silence()
        at_once = flips()
        look_for_all_silence()

    down = [("By HTTP", "down", minute(70))]
    assert (at_once, flips()) == (down if Door.MAIL in doors else [], down)


@pytest.mark.parametrize("count", [1, 3])
def test_sweep_asks_as_often_for_many_as_for_one(scope: Tenant, count: int) -> None:
    for number in range(count):
        reported(f"Job {number}", Door.MAIL)
    open_until(72, Door.HTTP)

    with CaptureQueriesContext(connection) as asked, time_machine.travel(minute(72), tick=False):
        assert sweep_heartbeats() == []

    assert len(statements(asked)) == 3  # alarms that rang too early, the doors, those who are late


def statements(asked: CaptureQueriesContext) -> list[str]:
    """Return the statements without those that set a transaction up."""
    return [one["sql"] for one in asked.captured_queries if "checks_" in one["sql"]]


def test_report_in_time_asks_nothing_of_the_doors(by_mail: Check) -> None:
    store = PingStore()
    store.store([mail(token_of(by_mail), minutes=60)])

    with CaptureQueriesContext(connection) as asked:
        store.store([mail(token_of(by_mail), minutes=61)])

    assert [one for one in statements(asked) if "pingdoor" in one] == []
