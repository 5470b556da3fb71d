"""What a prober holds while its place of work answers badly: nothing is lost, and nothing is said that is not so."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.checks.domain import prober, prober_work, results
from apps.checks.domain.prober import Prober
from apps.checks.domain.prober_work import BatchRefused, DatabaseWork, PlaceAway
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.models import MAIN_REGION, Result
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result


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

        with pytest.raises(PlaceAway, match="read-only"):
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
                with pytest.raises(PlaceAway, match="checks_of_tomorrow"):
                    work.trade([result], 0)
        work.trade([result], 0)

        complaints = [record for record in caplog.records if record.name == prober_work.__name__]
        assert [record.levelno for record in complaints] == [logging.ERROR]
        assert Result.objects.count() == 1

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


class Place(DatabaseWork):
    """A place of work without a database."""

    def __init__(self, stop: Event) -> None:
        super().__init__(MAIN_REGION)
        self.stop = stop

    def say_well(self) -> None:
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
