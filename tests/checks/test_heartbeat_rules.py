"""The heartbeat's state machine, told like the jobs that it watches."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.checks.domain.heartbeat_rules import Beat, Heard, Report, deadline, hear, is_overrun, phase
from apps.checks.enums import State
from apps.checks.types.heartbeat import HeartbeatConfig, Signal

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURLY = HeartbeatConfig(period_seconds=3_600, grace_seconds=600)
RUN, OTHER_RUN = UUID(int=1), UUID(int=2)


def minute(count: float) -> datetime:
    return START + timedelta(minutes=count)


def after(*reports: Report, beat: Beat | None = None, config: HeartbeatConfig = HOURLY) -> Heard:
    """Return the heartbeat after these pings."""
    heard = Heard(beat or Beat(), Signal.LOG)
    for report in reports:
        heard = hear(heard.beat, report, config)
    return heard


def ping(signal: Signal, at: float, **more: object) -> Report:
    return Report(signal=signal, at=minute(at), **more)  # type: ignore[arg-type]


def test_new_heartbeat_waits_without_a_deadline() -> None:
    assert deadline(Beat(), HOURLY) is None
    assert phase(Beat(), HOURLY, minute(10**6)) == "new"


def test_first_success_is_up_until_period_and_grace_have_passed() -> None:
    beat = after(ping(Signal.SUCCESS, 0)).beat

    assert (beat.state, deadline(beat, HOURLY)) == (State.UP, minute(70))
    assert [phase(beat, HOURLY, minute(at)) for at in (59.9, 60, 69.9, 70)] == ["up", "grace", "grace", "down"]


def test_failure_is_down_at_once_and_success_up_again() -> None:
    failed = after(ping(Signal.FAIL, 0)).beat

    assert (failed.state, deadline(failed, HOURLY)) == (State.DOWN, None)
    assert after(ping(Signal.SUCCESS, 5), beat=failed).beat.state == State.UP


def test_run_that_does_not_end_within_its_grace_is_down() -> None:
    beat = after(ping(Signal.SUCCESS, 0), ping(Signal.START, 20)).beat

    assert (deadline(beat, HOURLY), phase(beat, HOURLY, minute(21))) == (minute(30), "started")
    assert is_overrun(beat, HOURLY, minute(30))


def test_schedule_counts_where_it_ends_before_the_run_may() -> None:
    beat = after(ping(Signal.SUCCESS, 0), ping(Signal.START, 65)).beat

    assert deadline(beat, HOURLY) == minute(70)
    assert not is_overrun(beat, HOURLY, minute(70))


@pytest.mark.parametrize("state", [State.NEW, State.UNKNOWN, State.PAUSED])
def test_start_alone_gives_a_deadline_and_changes_no_state(state: State) -> None:
    beat = after(ping(Signal.START, 0), beat=Beat(state=state)).beat

    assert (beat.state, deadline(beat, HOURLY)) == (state, minute(10))


def test_duration_is_that_of_the_run_whose_start_was_heard() -> None:
    heard = after(ping(Signal.START, 0, run_id=RUN), ping(Signal.SUCCESS, 3, run_id=RUN))

    assert (heard.duration, heard.beat.last_duration) == (timedelta(minutes=3),) * 2
    assert heard.beat.last_start_at is None


def test_success_of_another_run_leaves_the_run_going() -> None:
    heard = after(ping(Signal.START, 0, run_id=RUN), ping(Signal.SUCCESS, 3, run_id=OTHER_RUN))

    assert (heard.duration, heard.beat.last_start_at, heard.beat.last_start_run) == (None, minute(0), RUN)
    assert heard.beat.state == State.UP


def test_end_of_an_earlier_run_takes_its_own_time_and_leaves_the_newest_going() -> None:
    both = after(
        ping(Signal.SUCCESS, 0), ping(Signal.START, 1, run_id=RUN), ping(Signal.START, 5, run_id=OTHER_RUN)
    ).beat

    heard = hear(both, ping(Signal.SUCCESS, 8, run_id=RUN), HOURLY, minute(1))

    assert (heard.duration, heard.beat.last_duration) == (timedelta(minutes=7),) * 2
    assert (heard.beat.last_start_at, heard.beat.last_start_run) == (minute(5), OTHER_RUN)
    assert (deadline(heard.beat, HOURLY), phase(heard.beat, HOURLY, minute(9))) == (minute(15), "started")
    assert is_overrun(heard.beat, HOURLY, minute(15))


@pytest.mark.parametrize(("signal", "run"), [(Signal.FAIL, OTHER_RUN), (Signal.FAIL, None), (Signal.SUCCESS, None)])
def test_any_failure_and_success_without_a_run_end_the_run(signal: Signal, run: UUID | None) -> None:
    heard = after(ping(Signal.START, 0, run_id=RUN), ping(signal, 3, run_id=run))

    assert (heard.beat.last_start_at, heard.duration) == (None, None)


def test_run_of_more_than_three_days_has_no_duration() -> None:
    assert after(ping(Signal.START, 0), ping(Signal.SUCCESS, 72 * 60)).duration == timedelta(hours=72)
    assert after(ping(Signal.START, 0), ping(Signal.SUCCESS, 72 * 60 + 1)).duration is None


@pytest.mark.parametrize("signal", [Signal.LOG, Signal.IGNORED])
def test_log_changes_nothing(signal: Signal) -> None:
    beat = after(ping(Signal.SUCCESS, 0), ping(Signal.START, 1)).beat

    assert after(ping(signal, 2), beat=beat).beat == beat


@pytest.mark.parametrize(("status", "state"), [(0, State.UP), (1, State.DOWN), (255, State.DOWN)])
def test_exit_status_other_than_nought_is_a_failure(status: int, state: State) -> None:
    assert after(ping(Signal.SUCCESS, 0, exit_status=status)).beat.state == state


def test_report_ends_a_pause_unless_it_is_to_be_ended_by_hand() -> None:
    paused, by_hand = Beat(state=State.PAUSED), HeartbeatConfig(manual_resume=True)

    assert after(ping(Signal.SUCCESS, 0), beat=paused).beat.state == State.UP
    for signal in Signal:
        assert after(ping(signal, 0), beat=paused, config=by_hand) == Heard(paused, Signal.IGNORED)


def test_maintenance_hears_and_judges_nothing() -> None:
    held = Beat(state=State.MAINTENANCE)

    failed = after(ping(Signal.FAIL, 0), beat=held).beat

    assert (failed.state, failed.last_ping_at) == (State.MAINTENANCE, minute(0))


@pytest.mark.parametrize(
    ("said", "signal"),
    [
        ({"signal": Signal.SUCCESS}, Signal.SUCCESS),
        ({"signal": Signal.START}, Signal.START),
        ({"signal": Signal.FAIL}, Signal.FAIL),
        ({"signal": Signal.LOG}, Signal.LOG),
        ({"signal": Signal.SUCCESS, "exit_status": 3}, Signal.FAIL),
    ],
    ids=["success", "start", "failure", "log", "exit status"],
)
def test_only_post_counts_where_that_is_asked_for(said: dict[str, Any], signal: Signal) -> None:
    config, before = HeartbeatConfig(only_post=True), Beat(state=State.UP, last_ping_at=minute(0))
    by_link, by_post = ping(at=1, **said), ping(at=1, is_post=True, **said)

    assert after(by_link, beat=before, config=config) == Heard(before, Signal.IGNORED)
    assert after(by_post, beat=before, config=config).signal == signal


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("backup done", Signal.SUCCESS),
        ("done with errors", Signal.FAIL),
        ("begun", Signal.START),
        ("Done", Signal.IGNORED),
        ("", Signal.IGNORED),
    ],
)
def test_keywords_judge_the_text_failures_first(text: str, signal: Signal) -> None:
    config = HeartbeatConfig(
        filters_body=True, success_keywords="done, ok", failure_keywords="error", start_keywords="begun,"
    )

    assert after(ping(Signal.SUCCESS, 0, text=text), config=config).signal == signal


def test_schedule_that_is_over_expects_nothing_more() -> None:
    config = HeartbeatConfig(schedule="oncalendar", on_calendar="2025-12-31")

    assert deadline(after(ping(Signal.SUCCESS, 0), config=config).beat, config) is None


# --- Against a slow, obvious model --------------------------------------------------------------------------------------

MODEL_CONFIG = HeartbeatConfig(period_seconds=20 * 60, grace_seconds=5 * 60)
HISTORY = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from([Signal.SUCCESS, Signal.SUCCESS, Signal.START, Signal.FAIL, Signal.LOG]),
        st.sampled_from([None, RUN, OTHER_RUN]),
    ),
    max_size=25,
)
END = 1_000


def walked(history: list[tuple[int, Signal, UUID | None]]) -> list[tuple[int, str]]:  # noqa: C901 - told in one go
    """The model: look at the clock every minute, with nothing but what happened last."""
    state, changes = "new", []
    last_done: int | None = None
    running: tuple[int, UUID | None] | None = None

    def become(after: str) -> None:
        nonlocal state
        if after != state:
            changes.append((now, after))
        state = after

    def look() -> None:
        is_late = state == "up" and last_done is not None and now - last_done >= 25
        if is_late or (running and now - running[0] >= 5):
            become("down")

    for now in range(END):
        look()
        for at, signal, run in history:
            if at != now:
                continue
            look()  # a run that hangs is seen again as soon as another run's success made it up
            if signal == Signal.LOG:
                continue
            if signal == Signal.START:
                running = (now, run)
                continue
            last_done = now
            if running and (running[1] == run or signal == Signal.FAIL or run is None):
                running = None
            become("down" if signal == Signal.FAIL else "up")
        look()
    return changes


def jumped(history: list[tuple[int, Signal, UUID | None]]) -> list[tuple[int, str]]:
    """Ours: from ping to ping, with a deadline in between."""
    beat, changes = Beat(), []
    for at, signal, run in [*history, (END, Signal.LOG, None)]:
        limit = deadline(beat, MODEL_CONFIG)
        if limit is not None and limit <= minute(at):
            changes.append((max(round((limit - START).total_seconds() / 60), changes[-1][0] if changes else 0), "down"))
            beat = Beat(
                state=State.DOWN,
                last_ping_at=beat.last_ping_at,
                last_start_at=beat.last_start_at,
                last_start_run=beat.last_start_run,
            )
        heard = hear(beat, Report(signal=signal, at=minute(at), run_id=run), MODEL_CONFIG).beat
        if heard.state != beat.state:
            changes.append((at, str(heard.state)))
        beat = heard
    return changes


@settings(max_examples=300, deadline=None)
@given(gaps=HISTORY)
def test_deadlines_agree_with_looking_at_the_clock_every_minute(gaps: list[tuple[int, Signal, UUID | None]]) -> None:
    at, history = 0, []
    for gap, signal, run in gaps:
        at += gap
        history.append((at, signal, run))

    assert jumped(history) == walked(history)
