"""A full disk, a lost terminal, a machine short of files or processes: none of them ends the product."""

import errno
import json
import os
import pty
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from config.run import serve
from config.run.logs import LineLog, say
from config.run.parts import Part
from config.run.paths import PROJECT
from config.run.private_files import write_private
from config.run.supervisor import Supervisor

Wait = Callable[..., None]
FULL = Path("/dev/full")  # whatever is written there is refused: no space left on device


def talker(name: str) -> Part:
    """A part that says a line, waits, and says another when it is asked to stop."""
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit('bye')); print('up'); signal.pause()"
    return Part(name, (sys.executable, "-u", "-c", code))


@contextmanager
def no_files_left() -> Iterator[None]:
    """This process may open no file or pipe; as little may it be given a process, which needs some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    with ExitStack() as held:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, hard))
            with suppress(OSError):
                while True:
                    held.enter_context(FULL.open("wb", buffering=0))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    return supervisor._running[name].pid


# -- a full disk ------------------------------------------------------------------------------


def test_part_whose_log_finds_no_room_runs_on_and_is_stopped_in_order(
    supervisor: Supervisor, wait_for: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    (supervisor._logs / "postgres.log").symlink_to(FULL)
    supervisor.start(talker("postgres"))
    supervisor.start(talker("web"))
    process = supervisor._running["postgres"].process
    said: list[str] = []

    def has_said(line: str) -> bool:
        said.extend(capsys.readouterr().out.splitlines())
        return line in said

    wait_for(lambda: has_said("postgres   | up"))
    wait_for(lambda: (supervisor._logs / "web.log").read_text() == "up\n")
    supervisor.stop_all()

    assert process is not None
    assert process.returncode == 1  # it ended by itself: sys.exit("bye")
    assert has_said("postgres   | bye")
    assert (supervisor._logs / "web.log").read_text() == "up\nbye\n"


def test_log_goes_on_once_there_is_room_and_says_what_is_missing(tmp_path: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from config.run.logs import LineLog
log = LineLog("web", Path({str(tmp_path)!r}), is_talkative=False)
log.feed(b"first line\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (14, resource.RLIM_INFINITY))
log.feed(b"second line\\nthird line\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.feed(b"fourth line\\nfifth line\\n")
log.close()
print(*log.last_lines, sep=",")
"""

    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert (result.stderr, result.stdout) == ("", "first line,second line,third line,fourth line,fifth line\n")
    assert (tmp_path / "web.log").read_text().splitlines() == [
        "first line",
        "sec",
        "(lines lost, since they could not be written: 2)",
        "fourth line",
        "fifth line",
    ]


def test_log_that_cannot_be_turned_over_is_written_on_and_turned_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.run.logs.MAX_LOG_BYTES", 10)
    log = LineLog("web", tmp_path, is_talkative=False)

    with no_files_left():
        log.feed(b"a long first line\nsecond\n")
    log.feed(b"third\nfourth\n")
    log.close()

    assert (tmp_path / "web.log.1").read_text() == "a long first line\nsecond\nthird\n"
    assert (tmp_path / "web.log").read_text() == "fourth\n"


def test_pid_file_that_could_not_be_written_is_written_later(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor._pid_file = tmp_path / "none yet" / "parts.json"
    supervisor.start(talker("web"))

    (tmp_path / "none yet").mkdir()
    supervisor.pump(0)

    assert json.loads(supervisor._pid_file.read_text()) == {"web": pid_of(supervisor, "web")}


def test_private_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a folder" / "with a file").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "a folder", "text")

    assert [path.name for path in tmp_path.iterdir()] == ["a folder"]


# -- a lost terminal --------------------------------------------------------------------------


def test_words_to_a_lost_terminal_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window, descriptor = pty.openpty()
    console = os.fdopen(descriptor, "w", encoding="utf-8")
    os.close(window)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", console)
        say("a line")
        serve._welcome(tmp_path / "none", 8000)

    with pytest.raises(OSError, match="Input/output error"):  # the words that were dropped, asked for once more
        console.close()


def test_product_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Supervisor(logs=tmp_path / "log", pid_file=tmp_path / "parts.json") as supervisor:
            os.kill(os.getpid(), signal.SIGHUP)
            supervisor.pump(0)
            reason = supervisor.stop_reason
    finally:
        signal.signal(signal.SIGHUP, before)

    assert reason is None


# -- no process to be had ---------------------------------------------------------------------


def test_part_that_cannot_be_started_is_tried_again_like_one_that_died(
    supervisor: Supervisor, wait_for: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.start(talker("web"))
    supervisor.start(talker("worker"))
    first, worker = pid_of(supervisor, "web"), pid_of(supervisor, "worker")
    assert first is not None

    with no_files_left():
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: supervisor._running["web"].backoff > 0.7)  # a death, and a start that failed
        steady = supervisor.is_steady("web")
    wait_for(lambda: pid_of(supervisor, "web") not in {None, first})

    assert (steady, pid_of(supervisor, "worker")) == (False, worker)
    assert "obsera     | web could not be started: [Errno 24] Too many open files" in capsys.readouterr().out
    wait_for(
        lambda: json.loads(supervisor._pid_file.read_text()) == {"web": pid_of(supervisor, "web"), "worker": worker}
    )


def test_process_that_cannot_be_listened_to_is_not_left_behind(
    supervisor: Supervisor, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []
    listen = Supervisor._listen

    def refuse_once(self: Supervisor, process: subprocess.Popen[bytes], running: object) -> None:
        if not refused:
            refused.append(process.pid)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the kernel's word for: too many watches
        listen(self, process, running)  # type: ignore[arg-type]

    monkeypatch.setattr(Supervisor, "_listen", refuse_once)
    supervisor.start(talker("web"))
    wait_for(lambda: pid_of(supervisor, "web") is not None)

    with pytest.raises(ProcessLookupError):
        os.kill(refused[0], 0)
