"""What becomes of a prober's results when the database comes back after an absence."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Event

import pytest
from django.db import OperationalError
from psycopg import errors

from apps.checks.domain import prober_work
from apps.checks.domain.held_results import Contact
from apps.checks.domain.judging import SILENT_AFTER
from apps.checks.domain.prober import Prober
from apps.checks.domain.prober_work import DatabaseWork, PlaceAway
from apps.checks.domain.regions import lose_sight_of_silent_regions
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Check, CheckState, Flip, LookBack, Region, Result, Turn
from apps.core import clock
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


class Steady:
    """The clock that nobody can set, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Steady:
    made = Steady()
    monkeypatch.setattr(clock, "steady", made)
    return made


@pytest.fixture
def work(steady: Steady) -> DatabaseWork:
    """A prober that gave a sign of life, then had no database for ten minutes."""
    made = DatabaseWork(MAIN_REGION)
    made.say_well()
    steady.seconds += 600
    Region.objects.filter(id=MAIN_REGION).update(seen_at=clock.now() - 10 * MINUTE)
    return made


def seen_before(check: Check, age: timedelta, verdict: Verdict = Verdict.SUCCESS, **fields: object) -> NewResult:
    at = clock.now() - age
    Turn.objects.filter(watched=check).update(due_at=at, claimable_at=at)
    return make_result(check, verdict, started_at=at, **fields)


def test_fresh_results_are_not_forgotten_with_the_absence_before_them(in_acme: Tenant, work: DatabaseWork) -> None:
    check = make_check(state=State.UP, interval_seconds=3_600)

    work.trade([make_result(check, started_at=clock.now())], 0)
    work.say_well()
    lose_sight_of_silent_regions()

    assert [flip.after for flip in Flip.objects.order_by("sequence")] == ["unknown", "up"]
    assert Turn.objects.get(watched=check).opinion == Verdict.SUCCESS
    assert CheckState.objects.get(watched=check).state == State.UP


def test_who_was_away_for_less_forgets_nothing_and_is_seen_before_its_results(in_acme: Tenant, steady: Steady) -> None:
    work, check = DatabaseWork(MAIN_REGION), make_check(state=State.UP)
    work.say_well()
    steady.seconds += SILENT_AFTER.total_seconds() - 1
    Region.objects.filter(id=MAIN_REGION).update(seen_at=clock.now() - 10 * MINUTE)  # by a clock that was set ahead

    work.trade([make_result(check, started_at=clock.now())], 0)
    lose_sight_of_silent_regions()

    assert Flip.objects.count() == 0
    assert Turn.objects.get(watched=check).opinion == Verdict.SUCCESS


def test_results_bring_no_signs_of_life_of_their_own_while_those_are_heard(in_acme: Tenant, steady: Steady) -> None:
    work, check = DatabaseWork(MAIN_REGION), make_check(state=State.UP)
    work.say_well()
    seen_at = Region.objects.get(id=MAIN_REGION).seen_at
    steady.seconds += 15

    work.trade([make_result(check, started_at=clock.now())], 0)

    assert Region.objects.get(id=MAIN_REGION).seen_at == seen_at


def test_a_failure_of_hours_ago_pages_nobody_and_is_kept(in_acme: Tenant, work: DatabaseWork) -> None:
    check = make_check(state=State.UP, interval_seconds=60)
    held = seen_before(check, 120 * MINUTE, Verdict.FAILURE)

    work.trade([held], 0)

    turn = Turn.objects.get(watched=check)
    assert Result.objects.get().started_at == held.started_at
    assert (Outage.objects.count(), turn.opinion, turn.failures) == (0, None, 0)
    assert [flip.after for flip in Flip.objects.all()] == ["unknown"]
    assert clock.now() - 2 * MINUTE < turn.due_at == turn.claimable_at <= clock.now()
    assert LookBack.objects.get().watched_id == check.id


@pytest.mark.parametrize(
    ("interval_seconds", "seconds", "judges"),
    [(10, 65, True), (10, 75, False), (3_600, 7_100, True), (3_600, 7_300, False)],
)
def test_a_result_judges_for_two_intervals_and_the_time_of_its_probe(
    in_acme: Tenant, work: DatabaseWork, interval_seconds: int, seconds: int, judges: bool
) -> None:
    check = make_check(interval_seconds=interval_seconds, timeout_seconds=10)

    work.trade([seen_before(check, timedelta(seconds=seconds))], 0)

    assert CheckState.objects.get(watched=check).state == (State.UP if judges else State.UNKNOWN)
    assert Result.objects.count() == 1


def test_a_turn_that_waited_for_hours_is_judged_by_its_probe_of_now(in_acme: Tenant, work: DatabaseWork) -> None:
    check = make_check(interval_seconds=60, due_at=clock.now() - 120 * MINUTE)

    work.trade([make_result(check, started_at=clock.now())], 0)

    assert CheckState.objects.get(watched=check).state == State.UP


def test_a_check_that_only_late_results_came_of_is_looked_at_now(in_acme: Tenant, work: DatabaseWork) -> None:
    checks = [make_check(name, interval_seconds=3_600) for name in ("one", "other")]

    work.trade([seen_before(check, 180 * MINUTE) for check in checks], 0)

    one, other = Turn.objects.order_by("due_at")
    assert clock.now() - 2 * MINUTE < one.due_at < other.due_at <= clock.now()
    assert (one.claimable_at, other.claimable_at) == (one.due_at, other.due_at)


def test_another_probers_answer_to_the_same_turn_is_not_the_last_for_an_hour(
    in_acme: Tenant, work: DatabaseWork
) -> None:
    check = make_check(interval_seconds=3_600)
    held = seen_before(check, 180 * MINUTE)
    answer = make_result(check, Verdict.FAILURE, started_at=clock.now())  # whose lease began when ours ran out

    work.trade([held], 0)
    work.trade([answer], 0)
    work.trade([make_result(check, Verdict.FAILURE, started_at=clock.now())], 0)

    assert Turn.objects.get(watched=check).opinion == Verdict.FAILURE
    assert Result.objects.count() == 2


def test_late_results_disturb_no_turn_that_another_prober_is_at(in_acme: Tenant, work: DatabaseWork) -> None:
    check = make_check(interval_seconds=3_600)
    held = seen_before(check, 180 * MINUTE)
    due_at, leased_until = clock.now() - MINUTE, clock.now() + MINUTE
    Turn.objects.filter(watched=check).update(due_at=due_at, claimable_at=leased_until)

    work.trade([held], 0)

    turn = Turn.objects.get(watched=check)
    assert (turn.due_at, turn.claimable_at) == (due_at, leased_until)


def test_a_paused_checks_late_results_have_nobody_look_at_it(in_acme: Tenant, work: DatabaseWork) -> None:
    check = make_check(interval_seconds=60)
    held = seen_before(check, 120 * MINUTE)
    Turn.objects.filter(watched=check).update(claimable_at=None)

    work.trade([held], 0)

    turn = Turn.objects.get(watched=check)
    assert (turn.due_at, turn.claimable_at) == (held.due_at, None)


def test_late_and_fresh_results_of_a_batch_and_of_checks_deleted_since(in_acme: Tenant, work: DatabaseWork) -> None:
    late, fresh, gone = make_check("late", interval_seconds=60), make_check("fresh"), make_check("gone")
    batch = [seen_before(late, 60 * MINUTE), make_result(fresh, started_at=clock.now()), seen_before(gone, 60 * MINUTE)]
    gone.delete()

    for _again in range(2):  # as a prober does whose connection broke before it had its answer
        work.trade(batch, 0)

    assert set(Result.objects.values_list("check_id", flat=True)) == {late.id, fresh.id}
    assert dict(CheckState.objects.values_list("watched__name", "state")) == {"late": "unknown", "fresh": "up"}


class TestOverload:
    """A prober that cannot keep up was not away: what it saw judges, however long it waited."""

    @pytest.fixture
    def began_at(self, steady: Steady, monkeypatch: pytest.MonkeyPatch) -> datetime:
        """Ten minutes ago; the clock goes on with the steady one."""
        began_at, began = clock.now() - 10 * MINUTE, steady.seconds
        monkeypatch.setattr(clock, "now", lambda: began_at + timedelta(seconds=steady.seconds - began))
        return began_at

    def failed_at(self, check: Check, at: datetime) -> NewResult:
        Turn.objects.filter(watched=check).update(due_at=at, claimable_at=at)
        return make_result(check, Verdict.FAILURE, started_at=at)

    def test_a_backlog_judges_while_signs_of_life_go_on(
        self, in_acme: Tenant, steady: Steady, began_at: datetime
    ) -> None:
        work, check = DatabaseWork(MAIN_REGION), make_check(state=State.UP, interval_seconds=30)
        for _quarter_minute in range(40):
            work.say_well()
            steady.seconds += 15

        work.trade([self.failed_at(check, began_at + timedelta(seconds=10))], 0)

        assert CheckState.objects.get(watched=check).state == State.DOWN

    @pytest.mark.parametrize(
        ("seconds", "error", "judges"),
        [
            (400, None, True),  # as behind locks that somebody held
            (400, errors.QueryCanceled("took too long"), True),
            (400, errors.ConnectionException("gone"), False),
            (30, errors.ConnectionException("gone"), True),
        ],
    )
    def test_an_answer_that_took_its_time_is_no_absence(
        self,
        in_acme: Tenant,
        steady: Steady,
        began_at: datetime,
        monkeypatch: pytest.MonkeyPatch,
        seconds: int,
        error: Exception | None,
        judges: bool,
    ) -> None:
        work, check = DatabaseWork(MAIN_REGION), make_check(state=State.UP, interval_seconds=30)
        work.say_well()

        def store_slowly(_results: Sequence[NewResult], **_more: object) -> None:
            steady.seconds += seconds
            if error:
                raise OperationalError from error

        with monkeypatch.context() as patch:
            patch.setattr(prober_work, "store_by_age", store_slowly)
            patch.setattr(prober_work, "close_old_connections", lambda: None)
            with contextlib.suppress(PlaceAway):
                work.trade([self.failed_at(check, began_at)], 0)
        for _quarter_minute in range(10):
            work.say_well()
            steady.seconds += 15
        work.trade([self.failed_at(check, began_at + timedelta(seconds=1))], 0)

        assert (Turn.objects.get(watched=check).opinion == Verdict.FAILURE) is judges


@pytest.mark.parametrize("hours_set", [1, -1])
def test_a_clock_that_was_set_is_no_absence(steady: Steady, monkeypatch: pytest.MonkeyPatch, hours_set: int) -> None:
    contact = Contact()
    contact.asks()
    contact.hears()
    steady.seconds += 20
    began_at = clock.now()
    set_to = began_at + timedelta(hours=hours_set, seconds=20)
    monkeypatch.setattr(clock, "now", lambda: set_to)

    assert contact.heard_again_at <= min(began_at, set_to)


class AwayAtFirst(DatabaseWork):
    """A place that does not hear the first sign of life; it ends the prober with its third beat."""

    def __init__(self, stop: Event) -> None:
        super().__init__(MAIN_REGION)
        self.signs = self.beats = 0
        self.asked: list[str] = []
        self._stop = stop

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        self.beats += 1
        self.asked.append("trade")
        if self.beats == 3:
            self._stop.set()
        return []

    def say_well(self) -> None:
        self.signs += 1
        self.asked.append("sign")
        if self.signs == 1:
            raise PlaceAway("away")

    def close(self) -> None:
        pass


def test_a_sign_of_life_that_was_not_heard_is_given_again_with_the_next_beat() -> None:
    stop = Event()
    work = AwayAtFirst(stop)

    asyncio.run(Prober(work, stop).run())

    assert work.signs == 2


def test_who_was_not_heard_asks_for_nothing_else_in_that_beat() -> None:
    stop = Event()
    work = AwayAtFirst(stop)

    asyncio.run(Prober(work, stop).run())

    assert work.asked == ["sign", "sign", "trade", "trade", "trade"]
