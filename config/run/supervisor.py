"""Keeps a handful of processes alive: starts, watches, restarts, stops in reverse order.

Single-threaded on purpose: one selector waits for output, dead children and signals at once.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from config.run.errors import RunError
from config.run.logs import LineLog, say
from config.run.parts import Part, spawn
from config.run.private_files import write_private

FIRST_BACKOFF = 0.2
MAX_BACKOFF = 5.0
# A part that lived this long was healthy, so its next death is a new story.
HEALTHY_SECONDS = 30.0
STEADY_SECONDS = 5.0
WATCHED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartInterruptedError(Exception):
    """A signal asked to stop while something was still starting."""


class _Running:
    """One part with its process, its log and its place in the back-off."""

    def __init__(self, part: Part, logs: Path) -> None:
        self.part = part
        self.log = LineLog(part.name, logs, is_talkative=part.is_talkative)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.backoff = FIRST_BACKOFF
        self.retry_at: float | None = None
        self.has_died = False

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None


class Supervisor:
    """Owns its parts from `start` until `stop_all`; use as a context manager.

    `pid_file` receives {part name: pid} whenever that changes.
    """

    def __init__(self, *, logs: Path, pid_file: Path) -> None:
        self._logs = logs
        self._pid_file = pid_file
        self._running: dict[str, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._waker, self._sleeper = socket.socketpair()
        self._old_handlers: dict[int, object] = {}
        self._are_pids_stale = False
        self.stop_reason: signal.Signals | None = None

    def __enter__(self) -> Supervisor:
        self._logs.mkdir(parents=True, exist_ok=True)
        for end in (self._waker, self._sleeper):
            end.setblocking(False)
        self._selector.register(self._sleeper, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in WATCHED_SIGNALS:
            # `nohup make run` is to outlive its terminal.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._old_handlers[number] = signal.signal(number, self._note_signal)
        # Without a handler the kernel would not wake us for a dead child.
        self._old_handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()
        signal.set_wakeup_fd(-1)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._selector.close()
        self._waker.close()
        self._sleeper.close()

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self.stop_reason = signal.Signals(number)

    # -- starting ---------------------------------------------------------------------------

    def start(self, part: Part) -> None:
        """Start a part that is to live as long as the supervisor."""
        running = _Running(part, self._logs)
        self._running[part.name] = running
        self._launch(running)

    def _launch(self, running: _Running) -> None:
        running.retry_at = None
        try:
            self._spawn(running)
        except OSError as error:  # the machine has no memory, process or file left for it at this moment
            say(f"{running.part.name} could not be started: {error}; trying again")
            running.has_died = True
            self._retry_later(running, time.monotonic())
        self._write_pids()

    def _spawn(self, running: _Running) -> subprocess.Popen[bytes]:
        process = spawn(running.part)
        try:
            self._listen(process, running)
        except OSError:
            with process:  # closes its pipe and waits for its end
                _signal_group(process.pid, signal.SIGKILL)
            raise
        running.process = process
        running.started = time.monotonic()
        return process

    def _listen(self, process: subprocess.Popen[bytes], running: _Running) -> None:
        output = process.stdout
        if output is not None:
            os.set_blocking(output.fileno(), False)
            self._selector.register(output, selectors.EVENT_READ, running)

    def run_once(self, part: Part) -> tuple[int, list[str]]:
        """Run a part to its end while the others are watched; its exit status and last lines."""
        running = _Running(part, self._logs)
        process = self._spawn(running)
        status = self.attend(process)
        self._drain(running)
        running.log.close()
        return status, list(running.log.last_lines)

    def attend(self, process: subprocess.Popen[bytes]) -> int:
        """Watch the parts until a process of the caller ends, which is told when to stop; its status."""
        is_told = False
        while process.poll() is None:
            self.pump(0.5)
            if self.stop_reason and not is_told:
                process.send_signal(self.stop_reason)
                is_told = True
        return process.returncode

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float, what: str, every: float = 0.05) -> None:
        """Watch the parts until the probe says yes; RunError when it does not in time.

        StartInterruptedError when a signal asks to stop.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.stop_reason:
                raise StartInterruptedError
            if time.monotonic() > deadline:
                log = self._logs / f"{what}.log"
                raise RunError(f"{what} did not become ready in {seconds:.0f} seconds.", mend=f"read {log}")
            asked_at = time.monotonic()
            while (rest := asked_at + every - time.monotonic()) > 0:
                self.pump(rest)

    def is_steady(self, name: str) -> bool:
        """False while the part is dead, or alive for a moment after a death: it may die again for the same reason."""
        running = self._running[name]
        return running.process is not None and (
            not running.has_died or time.monotonic() - running.started > STEADY_SECONDS
        )

    # -- watching ---------------------------------------------------------------------------

    def run(self) -> None:
        """Watch until a signal asks to stop."""
        while not self.stop_reason:
            self.pump(self._seconds_to_next_retry())

    def pump(self, timeout: float) -> None:
        """Wait for at most `timeout` seconds, pass on output, restart what died."""
        self._take_events(timeout)
        if not self.stop_reason:
            self._restart_dead()
        if self._are_pids_stale:
            self._write_pids()

    def _take_events(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._sleeper.recv(4096)
            else:
                self._read(key.data)

    def _seconds_to_next_retry(self) -> float:
        waiting = [r.retry_at for r in self._running.values() if r.retry_at is not None]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else 5.0

    def _read(self, running: _Running) -> bool:
        output = running.process.stdout if running.process else None
        if output is None or output.closed:
            return False
        try:
            data = os.read(output.fileno(), 65536)
        except BlockingIOError:
            return False
        if data:
            running.log.feed(data)
            return True
        self._selector.unregister(output)
        output.close()
        return False

    def _drain(self, running: _Running) -> None:
        """Take what a dead part said last; its own children may hold the pipe open for ever."""
        while self._read(running):
            pass
        running.log.flush()
        output = running.process.stdout if running.process else None
        if output is not None and not output.closed:
            self._selector.unregister(output)
            output.close()

    def _restart_dead(self) -> None:
        now = time.monotonic()
        for running in self._running.values():
            process = running.process
            if process is not None and process.poll() is not None:
                self._bury(running, process, now)
            if running.retry_at is not None and running.retry_at <= now:
                self._launch(running)

    def _bury(self, running: _Running, process: subprocess.Popen[bytes], now: float) -> None:
        self._drain(running)
        _signal_group(process.pid, signal.SIGKILL)
        if now - running.started > HEALTHY_SECONDS:
            running.backoff = FIRST_BACKOFF
        say(f"{running.part.name} {describe_exit(process.returncode)}; restarting it")
        if not running.part.is_talkative:
            for line in running.log.last_lines:
                say(line, name=running.part.name)
        running.process = None
        running.has_died = True
        self._retry_later(running, now)
        self._write_pids()

    def _retry_later(self, running: _Running, now: float) -> None:
        running.retry_at = now + running.backoff
        running.backoff = min(running.backoff * 2, MAX_BACKOFF)

    # -- stopping ---------------------------------------------------------------------------

    def stop_all(self) -> None:
        """Stop every part, the last started first."""
        for name in reversed(list(self._running)):
            self.stop((name,))

    def stop(self, names: Iterable[str]) -> None:
        """Stop the named parts side by side; each gets its grace, then SIGKILL."""
        chosen = [self._running.pop(name) for name in names if name in self._running]
        asked_at = time.monotonic()
        for running in chosen:
            _ask_to_stop(running)
        for running in chosen:
            self._await_end(running, asked_at + running.part.grace_seconds)
        self._write_pids()

    def _await_end(self, running: _Running, deadline: float) -> None:
        process = running.process
        if process is not None:
            while process.poll() is None and time.monotonic() < deadline:
                self._take_events(0.05)
            if process.poll() is None:
                say(f"{running.part.name} did not stop in time; killing it")
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
            self._drain(running)
        running.log.close()

    def _write_pids(self) -> None:
        pids = {name: r.pid for name, r in self._running.items() if r.pid is not None}
        try:
            write_private(self._pid_file, json.dumps(pids, indent=1) + "\n")
        except OSError:  # a full disk: it is written as soon as it can be
            self._are_pids_stale = True
        else:
            self._are_pids_stale = False


def _ask_to_stop(running: _Running) -> None:
    if running.process is not None and running.process.poll() is None:
        running.process.send_signal(running.part.stop_signal)


def _signal_group(leader: int, number: signal.Signals) -> None:
    """Signal what is left of a dead or stubborn part's own process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def describe_exit(status: int) -> str:
    """An exit status in words: "ended with status 3", "was killed by SIGKILL"."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
