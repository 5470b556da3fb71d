"""The prober against a real target and a real database."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection

from apps.checks.domain.checks import Timing, create_check, delete_check, pause_check, update_check
from apps.checks.domain.prober import run_prober
from apps.checks.domain.prober_work import DatabaseWork
from apps.checks.domain.regions import mark_sick
from apps.checks.domain.turns import claim_turns
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Check, CheckState, Flip, Region, Result, SickSpell, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from bench._servers import FlipTarget

pytestmark = pytest.mark.django_db(transaction=True)

TIMING = Timing(interval_seconds=10, timeout_seconds=10, retries=0)
PATIENCE_SECONDS = 60.0  # only a bound against hanging


@contextmanager
def probing(controls: Sequence[str] = (), lost_home: Callable[[], str] | None = None) -> Iterator[None]:
    """A prober at work in a thread of its own."""
    stop = threading.Event()
    given = {"controls": controls, "lost_home": lost_home}
    thread = threading.Thread(target=run_prober, args=[DatabaseWork(MAIN_REGION), stop], kwargs=given)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def target() -> Iterator[FlipTarget]:
    with FlipTarget() as server:
        yield server


@pytest.fixture
def scope(acme: Tenant) -> Iterator[Tenant]:
    with tenant_scope(acme.id):
        yield acme


def http_check(target: FlipTarget, path: str = "/", timing: Timing = TIMING) -> Check:
    config = parse_config(CHECK_TYPES.get("http").Config, {"url": target.url + path})
    return create_check(name=path, kind="http", config=config, timing=timing)


def test_new_check_is_probed_at_once_and_on_its_beat(scope: Tenant, target: FlipTarget) -> None:
    check = http_check(target)
    first_due = Turn.objects.get().due_at
    assert first_due <= clock.now()

    with probing():
        wait_for(Result.objects.exists)

    result = Result.objects.get()
    assert (result.check_id, result.due_at, result.verdict, result.status_code) == (
        check.id,
        first_due,
        Verdict.SUCCESS,
        200,
    )
    assert result.total_ms >= result.first_byte_ms > 0
    assert result.remote_ip == "127.0.0.1"
    assert (Turn.objects.get().due_at - first_due).total_seconds() == 10
    assert CheckState.objects.get().state == State.UP


def test_failing_target_flips_with_its_reason(scope: Tenant, target: FlipTarget) -> None:
    target.break_path("/shop")
    http_check(target, "/shop")

    with probing():
        wait_for(Flip.objects.exists)

    flip = Flip.objects.get()
    assert (flip.after, flip.error_code) == ("down", "status_mismatch")
    assert flip.error_values["status"] == 503


def test_private_target_is_refused_where_the_tenant_may_not(scope: Tenant, target: FlipTarget) -> None:
    Tenant.objects.filter(id=scope.id).update(allows_private_targets=False)
    http_check(target)

    with probing():
        wait_for(Result.objects.exists)

    result = Result.objects.get()
    assert (result.verdict, result.error_code) == (Verdict.FAILURE, "address_forbidden")
    assert target.hits == 0


def test_changed_settings_are_used_at_the_next_turn(scope: Tenant, target: FlipTarget) -> None:
    target.break_path("/old")
    check = http_check(target, "/old")

    with probing():
        wait_for(lambda: CheckState.objects.get().state == State.DOWN)
        config = parse_config(CHECK_TYPES.get("http").Config, {"url": f"{target.url}/new"})
        update_check(Check.objects.get(id=check.id), name="new", config=config, timing=TIMING, tags=[])
        Turn.objects.update(due_at=Turn.objects.get().due_at, claimable_at=Turn.objects.get().due_at)
        wait_for(lambda: CheckState.objects.get().state == State.UP)

    assert [flip.after for flip in Flip.objects.order_by("sequence")] == ["down", "up"]


def test_check_paused_or_deleted_meanwhile_does_no_harm(scope: Tenant, target: FlipTarget) -> None:
    paused, deleted = http_check(target, "/slow?1"), http_check(target, "/slow?2")
    target.delay_seconds = 2.0

    with probing():
        wait_for(lambda: target.hits == 2)
        pause_check(paused)
        delete_check(deleted)
        wait_for(Result.objects.filter(check_id=paused.id).exists)

    assert [state.state for state in CheckState.objects.all()] == ["paused"]
    assert [result.check_id for result in Result.objects.all()] == [paused.id]


def test_stopped_prober_gives_back_what_is_under_way(scope: Tenant, target: FlipTarget) -> None:
    check = http_check(target, "/slow", Timing(interval_seconds=10, timeout_seconds=30, retries=0))
    target.delay_seconds = 20.0

    with probing():
        wait_for(lambda: target.hits == 1)

    assert [turn.check_id for turn in claim_turns(10)] == [check.id]


def test_lease_of_a_slow_probe_is_kept(scope: Tenant, target: FlipTarget) -> None:
    http_check(target, "/slow", Timing(interval_seconds=60, timeout_seconds=30, retries=0))
    target.delay_seconds = 9.5

    with probing():
        wait_for(Result.objects.exists)

    assert target.hits == 1


def test_results_wait_while_the_database_is_away(scope: Tenant, target: FlipTarget) -> None:
    http_check(target, "/slow")
    target.delay_seconds = 1.0

    with probing():
        wait_for(lambda: target.hits == 1)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()"
            )
        wait_for(Result.objects.exists)

    assert Result.objects.count() == 1


def stand_still(seconds: float) -> None:
    """Keep the interpreter to this thread, as a machine does that is paused: no other one runs meanwhile."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(2 * seconds)
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
    finally:
        sys.setswitchinterval(usual)


def test_probe_that_ran_out_of_time_while_the_prober_stood_still_is_repeated(scope: Tenant, target: FlipTarget) -> None:
    target.delay_seconds = 30.0
    http_check(target, "/slow", replace(TIMING, interval_seconds=60, timeout_seconds=5))

    with probing():
        wait_for(lambda: target.hits == 1)
        target.delay_seconds = 0.0
        stand_still(6.5)
        wait_for(Result.objects.exists)

    assert [(result.verdict, result.error_code) for result in Result.objects.all()] == [(Verdict.SUCCESS, "")]
    assert target.hits == 2
    assert [flip.after for flip in Flip.objects.all()] == ["up"]


def test_turns_made_by_a_clock_that_was_set_back_since_are_due_anew(scope: Tenant, target: FlipTarget) -> None:
    check = http_check(target)
    ahead = clock.now() + timedelta(hours=1)
    Turn.objects.filter(watched=check).update(due_at=ahead, claimable_at=ahead)

    with probing():
        wait_for(Result.objects.exists)

    assert (Turn.objects.get().due_at - clock.now()).total_seconds() <= 10


class TestControls:
    """A region whose own network is gone says nothing of its checks."""

    def test_failure_in_a_sick_region_is_unknown_and_pages_nobody(self, scope: Tenant, target: FlipTarget) -> None:
        http_check(target, "/a", replace(TIMING, retry_interval_seconds=1))
        with FlipTarget() as control:
            gone = control.url

        with probing([gone]):
            wait_for(lambda: CheckState.objects.get().state == State.UP)
            target.break_path("/a")
            Turn.objects.update(due_at=clock.now(), claimable_at=clock.now())
            wait_for(lambda: CheckState.objects.get().state == State.UNKNOWN)
            wait_for(lambda: Region.objects.get(id=MAIN_REGION).sick_since_at)

        assert [flip.after for flip in Flip.objects.order_by("sequence")] == ["up", "unknown"]
        assert set(Result.objects.exclude(error_code="").values_list("verdict", "error_code")) == {
            (Verdict.UNKNOWN, "region_sick")
        }
        spell = SickSpell.objects.get()
        assert (spell.ended_at, [text.partition(": ")[0] for text in spell.failed_controls]) == (None, [gone])

    def test_region_is_well_again_as_soon_as_its_controls_answer(self, scope: Tenant, target: FlipTarget) -> None:
        mark_sick(MAIN_REGION, ["before"])

        with FlipTarget() as control, probing([control.url]):
            wait_for(lambda: Region.objects.get(id=MAIN_REGION).sick_since_at is None)

        assert SickSpell.objects.get().ended_at is not None

    def test_misspelt_control_hides_no_outage(self, scope: Tenant, target: FlipTarget) -> None:
        target.break_path("/a")
        http_check(target, "/a")

        with probing(["http://not a host/"]):
            wait_for(lambda: CheckState.objects.get().state == State.DOWN)

        assert SickSpell.objects.count() == 0

    @pytest.mark.parametrize(
        ("lost", "state", "told"),
        [
            ("no way there", State.UNKNOWN, (Verdict.UNKNOWN, "region_sick")),
            ("", State.DOWN, (Verdict.FAILURE, "status_mismatch")),
        ],
    )
    def test_failure_without_a_way_home_is_unknown_and_no_sickness_to_tell_of(
        self, scope: Tenant, target: FlipTarget, lost: str, state: State, told: tuple[Verdict, str]
    ) -> None:
        http_check(target, "/a")

        with probing(lost_home=lambda: lost):
            wait_for(lambda: CheckState.objects.get().state == State.UP)
            target.break_path("/a")
            Turn.objects.update(due_at=clock.now(), claimable_at=clock.now())
            wait_for(lambda: CheckState.objects.get().state == state)

        assert set(Result.objects.exclude(error_code="").values_list("verdict", "error_code")) == {told}
        assert (SickSpell.objects.count(), Region.objects.get(id=MAIN_REGION).sick_since_at) == (0, None)

    def test_failure_counts_while_the_controls_answer(self, scope: Tenant, target: FlipTarget) -> None:
        target.break_path("/a")
        http_check(target, "/a")

        with FlipTarget() as control, probing([control.url]):
            wait_for(lambda: CheckState.objects.get().state == State.DOWN)
            assert control.hits > 0
