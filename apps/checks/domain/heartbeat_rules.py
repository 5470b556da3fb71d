"""What a ping does to a heartbeat, and when its silence is a failure. Pure: values in, values out.

The rules are those of Healthchecks, so that existing jobs mean the same here. A job may say that it starts; then it is
*running* until it reports success or failure, and down once it has run for longer than its grace.

Runs that overlap bear ids. As in Healthchecks (``Check.ping``, ``Ping.duration``):

- What is running is the newest start, whichever run's: its grace counts from there. So a run that hangs is not seen while
  newer ones begin.
- It runs until its own end is reported, or a failure of any run, or a success that names no run. The success of another
  run leaves it running.
- A report took the time since its own run's start. That is the newest of the run's earlier reports, if it is a start and
  72 hours old at most: what ended once is not ended again.

Unlike there, the heartbeat's last duration is that of its last report, even if an earlier start's run ended; and a report
without an id took the time since the newest start only, which must have none either.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from apps.checks.enums import State
from apps.checks.types.heartbeat import HeartbeatConfig, Signal

# A run that took longer was hardly one run: a lost report lies between.
MAX_DURATION = timedelta(hours=72)
# In these nothing is expected on schedule: no report has come since it was made, paused or resumed.
UNEXPECTING = frozenset({State.NEW, State.PAUSED})
# In these a ping changes no state: a maintenance window ends by itself.
HELD = frozenset({State.MAINTENANCE})
VERDICTS = {Signal.SUCCESS: State.UP, Signal.FAIL: State.DOWN}


@dataclass(slots=True, kw_only=True)  # never changed all the same: a frozen one costs three times as much to make
class Beat:
    """What is known of a heartbeat. ``last_ping_at`` is the last success or failure."""

    state: State = State.NEW
    last_ping_at: datetime | None = None
    last_start_at: datetime | None = None
    last_start_run: UUID | None = None
    last_duration: timedelta | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """One ping as it came in. ``subject`` is a mail's, and None for what is no mail."""

    signal: Signal
    at: datetime
    run_id: UUID | None = None
    exit_status: int | None = None
    is_post: bool = False
    text: str = ""
    subject: str | None = None


@dataclass(slots=True)
class Heard:
    """A heartbeat after a ping: what the ping counted as, and how long the run took that it ended."""

    beat: Beat
    signal: Signal
    duration: timedelta | None = None


def signal_of(report: Report, config: HeartbeatConfig, state: State) -> Signal:
    """Return what a ping counts as."""
    if state == State.PAUSED and config.manual_resume:
        return Signal.IGNORED
    if config.only_post and not report.is_post:  # whatever it says: who follows links may follow /fail
        return Signal.IGNORED
    if report.exit_status:
        return Signal.FAIL
    if report.signal != Signal.SUCCESS:
        return report.signal
    judged = _judged_texts(report, config)
    if judged and report.exit_status is None:
        return signal_in("\n".join(judged), config)
    return Signal.SUCCESS


def _judged_texts(report: Report, config: HeartbeatConfig) -> list[str]:
    """Return in what the keywords are looked for; nothing where every report is a success."""
    judged = [report.subject] if config.filters_subject and report.subject is not None else []
    return [*judged, report.text] if config.judges_text(is_mail=report.subject is not None) else judged


def signal_in(text: str, config: HeartbeatConfig) -> Signal:
    """Return what the keywords found in a text say; none of them: nothing, or a failure where that is asked for."""
    return next(
        (signal for signal, words in config.keywords if any(word in text for word in words)),
        Signal.FAIL if config.unmatched_fails else Signal.IGNORED,
    )


def hear(beat: Beat, report: Report, config: HeartbeatConfig, begun_at: datetime | None = None) -> Heard:
    """Return the heartbeat after a ping. ``begun_at``: when the run that it names began, if that is not the newest start."""
    signal = signal_of(report, config, beat.state)
    if signal == Signal.START:
        return Heard(replace(beat, last_start_at=report.at, last_start_run=report.run_id), signal)
    if signal not in VERDICTS:
        return Heard(beat, signal)
    duration = _duration(beat, report, begun_at)
    ends_run = beat.last_start_run == report.run_id or signal == Signal.FAIL or report.run_id is None
    return Heard(
        Beat(
            state=beat.state if beat.state in HELD else VERDICTS[signal],
            last_ping_at=report.at,
            last_start_at=None if ends_run else beat.last_start_at,
            last_start_run=None if ends_run else beat.last_start_run,
            last_duration=duration,
        ),
        signal,
        duration,
    )


def _duration(beat: Beat, report: Report, begun_at: datetime | None) -> timedelta | None:
    """Return how long the run took, if its start was heard."""
    if beat.last_start_at is not None and beat.last_start_run == report.run_id:
        begun_at = beat.last_start_at
    if begun_at is None:
        return None
    duration = report.at - begun_at
    return duration if timedelta(0) <= duration <= MAX_DURATION else None


def expected_at(beat: Beat, config: HeartbeatConfig) -> datetime | None:
    """Return when the next report is expected by schedule; None while nothing is."""
    if beat.state in UNEXPECTING or beat.last_ping_at is None:
        return None
    return config.rhythm.following(beat.last_ping_at)


def deadline(beat: Beat, config: HeartbeatConfig) -> datetime | None:
    """Return the instant from which silence means down; None where nothing is expected or it is down already."""
    if beat.state == State.DOWN:
        return None
    awaited = [at for at in (expected_at(beat, config), beat.last_start_at) if at is not None]
    return min(awaited) + config.grace if awaited else None


def is_overrun(beat: Beat, config: HeartbeatConfig, at: datetime) -> bool:
    """Tell whether it is a run that did not end, rather than a report that did not come, that made it down at ``at``."""
    return beat.last_start_at is not None and beat.last_start_at + config.grace <= at


def why_missed(beat: Beat, config: HeartbeatConfig, limit: datetime) -> str:
    """Return the code of what made it down at its deadline."""
    return "heartbeat_overrun" if is_overrun(beat, config, limit) else "heartbeat_missed"


def why_failed(exit_status: int | None) -> tuple[str, dict[str, int]]:
    """Return the code, with its values, of what the job itself said made it down."""
    return ("heartbeat_exit_status", {"status": exit_status}) if exit_status else ("heartbeat_failed", {})


def phase(beat: Beat, config: HeartbeatConfig, now: datetime) -> str:
    """Return Healthchecks' word for the state: besides the stored ones ``started`` and ``grace``."""
    limit = deadline(beat, config)
    if limit is not None and now >= limit:
        return State.DOWN
    if beat.last_start_at is not None and beat.state != State.DOWN:
        return "started"
    expected = expected_at(beat, config)
    if beat.state == State.UP and expected is not None and now >= expected:
        return "grace"
    return beat.state
