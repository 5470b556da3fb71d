"""What a prober holds while its place of work answers badly: nothing is lost, and nothing is said that is not so."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection

from apps.checks.domain import prober, prober_work, results
from apps.checks.domain.prober import Prober
from apps.checks.domain.prober_work import BatchRefused, DatabaseWork, PlaceAway
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import CheckSettings, ClaimedTurn
from apps.checks.models import MAIN_REGION, Result
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from bench._servers import FlipTarget
from tests.factories.checks import make_check, make_result

PATIENCE_SECONDS = 60.0  # only a bound against hanging


class TestTheDatabase:
    """What it refuses waits, however it says so."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def scope(self, acme: Tenant) -> Iterator[Tenant]:
        with tenant_scope(acme.id):
            yield acme

    @pytest.fixture
    def reads_only(self) -> Iterator[Callable[[], None]]:
        """Have this session only read, as on a server that was left behind."""

        def leave_behind() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET default_transaction_read_only = on")

        yield leave_behind
        connection.close()

    @pytest.fixture
    def work(self) -> DatabaseWork:
        return DatabaseWork(MAIN_REGION)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda work, result: work.trade([result], 0),
            lambda work, _result: work.trade([], 1),
            lambda work, _result: work.say_well(),
        ],
        ids=["a result", "a claim", "a sign of life"],
    )
    def test_a_server_that_only_reads_is_away_and_is_not_asked_again_once_there_is_another(
        self,
        scope: Tenant,
        work: DatabaseWork,
        reads_only: Callable[[], None],
        ask: Callable[[DatabaseWork, NewResult], object],
    ) -> None:
        result = make_result(make_check())
        work.say_well()
        reads_only()

        with pytest.raises(PlaceAway, match="does not take"):
            ask(work, result)
        work.trade([result], 0)

        assert Result.objects.get().check_id == result.check_id

    def test_a_connection_that_breaks_amid_a_batch_costs_none_of_it(
        self, scope: Tenant, work: DatabaseWork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = [make_result(make_check(name)) for name in ("one", "other")]
        usual = results._copy

        def copy_until_broken(cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
            def breaking() -> Iterator[tuple[Any, ...]]:
                yield rows[0]
                end_session(cursor.connection.info.backend_pid)
                yield from rows[1:]

            usual(cursor, breaking())  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(results, "_copy", copy_until_broken)
            with pytest.raises(PlaceAway):
                work.trade(batch, 0)
        work.trade(batch, 0)

        assert set(Result.objects.values_list("check_id", flat=True)) == {result.check_id for result in batch}

    def test_tables_of_another_release_are_waited_for_and_complained_of_once_in_a_while(
        self,
        scope: Tenant,
        work: DatabaseWork,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        result = make_result(make_check())

        with monkeypatch.context() as patch:
            patch.setattr(results, "STORE", "SELECT check_id FROM checks_of_tomorrow")
            for _again in range(3):
                with pytest.raises(PlaceAway, match="does not take"):
                    work.trade([result], 0)
        work.trade([result], 0)

        complaints = [record for record in caplog.records if record.name == prober_work.__name__]
        assert [record.levelno for record in complaints] == [logging.ERROR]
        assert Result.objects.count() == 1

    def test_after_a_long_beat_turns_are_claimed_further_ahead_but_within_a_lease(
        self, scope: Tenant, work: DatabaseWork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        near, _far = (make_check(str(seconds), due_at=clock.now() + timedelta(seconds=seconds)) for seconds in (5, 60))
        monkeypatch.setattr(prober_work, "monotonic", lambda: monotonic() + 3_600)

        claimed = work.trade([], 10)

        assert [each.check_id for each in claimed] == [near.id]

    def test_a_result_that_no_table_takes_is_refused_for_what_is_in_it(self, scope: Tenant, work: DatabaseWork) -> None:
        with pytest.raises(BatchRefused):
            work.trade([make_result(make_check(), error_code="a\0b")], 0)


def end_session(pid: int) -> None:
    """End a session of the database as its administrator would, and see it gone."""
    with psycopg.connect(**{**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)


class TestRefusedBatches:
    """A batch that is refused as a whole is stored one by one, for as long as somebody listens."""

    pytestmark = pytest.mark.django_db

    def test_the_first_that_nobody_hears_ends_the_round_and_all_keep_their_order(
        self, in_acme: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(prober, "PAUSE_SECONDS", 0.0)
        stop = Event()
        held = [make_result(make_check(str(number))) for number in range(5)]
        work = Choosy(stop, bad=held[1], unheard=held[2])
        probing = Prober(work, stop)
        probing._results = list(held)

        asyncio.run(probing.run())

        one, bad, unheard, *others = held
        assert work.asked == [held, [one], [bad], [unheard], [unheard, *others]]
        assert work.stored == [one, unheard, *others]


class TestSettings:
    """A turn is never said to have none that can be read where they were only not at hand."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prober, "BEAT_SECONDS", 0.0)
        monkeypatch.setattr(prober, "PAUSE_SECONDS", 0.0)

    def test_those_of_turns_that_are_held_outlast_a_tidying(
        self, target: FlipTarget, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(prober, "SETTINGS_KEPT", 1)
        soon, others = turn(starts_in_seconds=0.7), [turn(), turn()]
        work = Giving([(0, [soon, others[0]]), (1, [others[1]])], [(1, settings(target))] * 2)

        seen = work.first_seen(3)

        assert set(seen) == {(each.check_id, "") for each in (soon, *others)}

    def test_a_new_check_is_not_begun_before_they_have_come(self, target: FlipTarget) -> None:
        new = turn()
        work = Giving([(0, [new]), (0, [new])], [None, (1, settings(target))])

        assert work.first_seen(1) == [(new.check_id, "")]

    def test_a_changed_check_is_not_begun_with_those_of_before(self, target: FlipTarget) -> None:
        before = turn()
        changed = turn(before.check_id, version=2)
        answers = [(1, settings(target, kind="of tomorrow")), None, (2, settings(target))]
        work = Giving([(0, [before]), (1, [changed]), (1, [changed])], answers)

        seen = work.first_seen(2)

        assert seen == [(before.check_id, "settings_unreadable"), (before.check_id, "")]

    def test_one_that_has_them_does_not_wait_for_another(self, target: FlipTarget) -> None:
        known, new = turn(), turn()
        work = Giving(
            [(0, [known]), (1, [known, new]), (2, [new])], [(1, settings(target)), None, (1, settings(target))]
        )

        seen = work.first_seen(3)

        assert seen == [(known.check_id, ""), (known.check_id, ""), (new.check_id, "")]


class TestTheControls:
    """A look at them that breaks costs no result."""

    def test_failures_are_not_measured_and_the_reason_is_logged(
        self, target: FlipTarget, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> str:
            raise RuntimeError("can't start new thread")

        target.break_path("/")
        first, second = turn(), turn()
        work = Giving([(0, [first]), (1, [second])], [(1, settings(target))] * 2)

        seen = work.first_seen(2, lost_home=broken)

        assert seen == [(first.check_id, "region_sick"), (second.check_id, "region_sick")]
        records = [record for record in caplog.records if record.name == prober.__name__]
        assert [str(record.exc_info and record.exc_info[1]) for record in records] == ["can't start new thread"] * 2


@pytest.fixture
def target() -> Iterator[FlipTarget]:
    with FlipTarget() as server:
        yield server


def turn(check_id: UUID | None = None, *, version: int = 1, starts_in_seconds: float = 0.0) -> ClaimedTurn:
    return ClaimedTurn(
        check_id=check_id or uuid4(),
        tenant_id=uuid4(),
        region_id=MAIN_REGION,
        version=version,
        due_at=clock.now(),
        starts_in_seconds=starts_in_seconds,
        timeout_seconds=10,
        allows_private=True,
    )


def settings(target: FlipTarget, *, kind: str = "http") -> CheckSettings:
    return CheckSettings(kind, {"url": target.url}, "")


class Place(DatabaseWork):
    """A place of work without a database."""

    def __init__(self, stop: Event) -> None:
        super().__init__(MAIN_REGION)
        self.stop = stop

    def say_well(self) -> None:
        pass

    def extend(self, turns: Iterable[ClaimedTurn]) -> None:
        pass

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None:
        pass

    def close(self) -> None:
        pass


class Choosy(Place):
    """Refuses one result for good, and does not hear another the first time that it comes alone."""

    def __init__(self, stop: Event, *, bad: NewResult, unheard: NewResult) -> None:
        super().__init__(stop)
        self.asked: list[list[NewResult]] = []
        self.stored: list[NewResult] = []
        self._bad, self._unheard = bad, unheard
        self._has_missed_it = False

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        if not results:
            self.stop.set()
            return []
        self.asked.append(list(results))
        if self._bad in results:
            raise BatchRefused
        if list(results) == [self._unheard] and not self._has_missed_it:
            self._has_missed_it = True
            raise PlaceAway("away")
        self.stored += results
        return []


class Giving(Place):
    """Gives turns, each portion after so many results, and one answer to each question for settings; None is one that did
    not come."""

    def __init__(
        self,
        portions: Iterable[tuple[int, Sequence[ClaimedTurn]]],
        answers: Iterable[tuple[int, CheckSettings] | None],
    ) -> None:
        super().__init__(Event())
        self._portions, self._answers = list(portions), list(answers)
        self._seen: list[tuple[UUID, str]] = []
        self._awaited = 0

    def first_seen(self, count: int, lost_home: Callable[[], str] | None = None) -> list[tuple[UUID, str]]:
        """Return of which checks a prober had its first results, and the error code of each."""
        self._awaited = count
        asyncio.run(asyncio.wait_for(Prober(self, self.stop, lost_home=lost_home).run(), PATIENCE_SECONDS))
        return self._seen

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        self._seen += [(result.check_id, result.error_code) for result in results]
        if len(self._seen) >= self._awaited:
            self.stop.set()
        if not limit or not self._portions or len(self._seen) < self._portions[0][0]:
            return []
        return list(self._portions.pop(0)[1])

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
        answer = self._answers.pop(0)
        if answer is None:
            raise PlaceAway("away")
        return dict.fromkeys(check_ids, answer)
