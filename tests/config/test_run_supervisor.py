"""The supervisor: what it promises about parts that die, refuse to die, or outlive it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from config.run import logs
from config.run.errors import RunError
from config.run.logs import LineLog
from config.run.parts import Part
from config.run.paths import PROJECT
from config.run.supervisor import StartInterruptedError, Supervisor, describe_exit

Wait = Callable[..., None]


def script(name: str, code: str, **options: object) -> Part:
    return Part(name, (sys.executable, "-u", "-c", code), **options)  # type: ignore[arg-type]


def sleeper(name: str, **options: object) -> Part:
    return script(name, "import time; print('up'); time.sleep(60)", **options)


def pids(supervisor: Supervisor) -> dict[str, int]:
    found: dict[str, int] = json.loads(supervisor._pid_file.read_text())
    return found


def is_alive(pid: int) -> bool:
    try:
        # A zombie is dead but for its parent's attention.
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def log_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def log_of(supervisor: Supervisor, name: str) -> list[str]:
    return log_lines(supervisor._logs / f"{name}.log")


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_killed_part_is_back_within_a_second(supervisor: Supervisor, wait_for: Wait) -> None:
    supervisor.start(sleeper("web"))
    wait_for(lambda: log_of(supervisor, "web") == ["up"])
    first = pids(supervisor)["web"]

    os.kill(first, signal.SIGKILL)
    wait_for(lambda: "web" not in pids(supervisor))
    retry_at = supervisor._running["web"].retry_at
    assert retry_at is not None
    rest = retry_at - time.monotonic()
    wait_for(lambda: pids(supervisor).get("web", first) != first)
    wait_for(lambda: log_of(supervisor, "web") == ["up", "up"])

    assert rest < 1.0


def test_part_that_dies_at_once_is_tried_ever_more_rarely(supervisor: Supervisor, wait_for: Wait) -> None:
    supervisor.start(script("web", "import time; print(time.monotonic())"))

    wait_for(lambda: len(log_of(supervisor, "web")) == 4)

    times = [float(line) for line in log_of(supervisor, "web")]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert [pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.8), strict=True)] == [True, True, True]


def test_part_that_has_died_is_not_steady_until_it_stays(
    supervisor: Supervisor, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.run.supervisor.STEADY_SECONDS", 3.0)
    supervisor.start(sleeper("web"))
    first = pids(supervisor)["web"]
    steady = [supervisor.is_steady("web")]

    os.kill(first, signal.SIGKILL)
    wait_for(lambda: pids(supervisor).get("web", first) != first)
    steady.append(supervisor.is_steady("web"))
    wait_for(lambda: supervisor.is_steady("web"))

    assert steady == [True, False]


def test_neighbours_of_a_dead_part_are_left_alone(supervisor: Supervisor, wait_for: Wait) -> None:
    supervisor.start(sleeper("web"))
    supervisor.start(sleeper("worker"))
    before = pids(supervisor)

    os.kill(before["web"], signal.SIGKILL)
    wait_for(lambda: pids(supervisor).get("web") not in (None, before["web"]))

    assert pids(supervisor)["worker"] == before["worker"]


def test_children_of_a_killed_part_die_with_it(supervisor: Supervisor, wait_for: Wait) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid); time.sleep(60)"
    supervisor.start(script("web", code))
    wait_for(lambda: bool(log_of(supervisor, "web")))
    grandchild = int(log_of(supervisor, "web")[0])
    assert is_alive(grandchild)

    os.kill(pids(supervisor)["web"], signal.SIGKILL)
    wait_for(lambda: not is_alive(grandchild))

    assert not is_alive(grandchild)


def test_stubborn_part_is_killed_after_its_grace(supervisor: Supervisor, wait_for: Wait) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"
    supervisor.start(script("stubborn", code, grace_seconds=0.3))
    wait_for(lambda: log_of(supervisor, "stubborn") == ["up"])
    pid = pids(supervisor)["stubborn"]

    started = time.monotonic()
    supervisor.stop_all()

    assert not is_alive(pid)
    assert 0.3 <= time.monotonic() - started < 50.0  # it would sleep for a minute


def test_parts_stop_in_reverse_order_and_may_say_a_last_word(
    supervisor: Supervisor, wait_for: Wait, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    for name in ("first", "second"):
        code = f"""
import signal, sys, time
def stop(*_):
    open({str(order)!r}, "a").write("{name} ")
    print("bye")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("up")
time.sleep(60)
"""
        supervisor.start(script(name, code))
        wait_for(lambda name=name: log_of(supervisor, name) == ["up"])

    supervisor.stop_all()

    assert order.read_text() == "second first "
    assert log_of(supervisor, "first") == ["up", "bye"]
    assert pids(supervisor) == {}


def test_nothing_is_restarted_once_a_signal_asked_to_stop(supervisor: Supervisor, wait_for: Wait) -> None:
    supervisor.start(sleeper("web"))
    wait_for(lambda: log_of(supervisor, "web") == ["up"])

    os.kill(os.getpid(), signal.SIGTERM)
    supervisor.run()
    os.kill(pids(supervisor)["web"], signal.SIGKILL)
    supervisor.pump(0.3)
    supervisor.pump(0.3)

    assert supervisor.stop_reason is signal.SIGTERM
    assert log_of(supervisor, "web") == ["up"]
    with pytest.raises(StartInterruptedError):
        supervisor.wait_until(lambda: False, seconds=5, what="web")


def test_parts_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from config.run.parts import Part
from config.run.supervisor import Supervisor
home = Path({str(tmp_path)!r})
with Supervisor(logs=home / "log", pid_file=home / "parts.json") as supervisor:
    supervisor.start(Part("web", (sys.executable, "-uc", "import time; print('up'); time.sleep(60)")))
    supervisor.run()
"""
    pid_file = tmp_path / "parts.json"
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT) as parent:
        try:
            until(lambda: log_lines(tmp_path / "log" / "web.log") == ["up"])
            child = json.loads(pid_file.read_text())["web"]
        finally:
            parent.kill()

    until(lambda: not is_alive(child))
    assert not is_alive(child)


def test_single_run_returns_status_and_last_lines(supervisor: Supervisor) -> None:
    outcome = supervisor.run_once(script("install", "print('one'); print('two', end=''); raise SystemExit(3)"))

    assert outcome == (3, ["one", "two"])


def test_part_that_never_answers_is_named_in_the_error(supervisor: Supervisor) -> None:
    supervisor.start(sleeper("web"))

    with pytest.raises(RunError) as caught:
        supervisor.wait_until(lambda: False, seconds=0.2, what="web")

    assert caught.value.problem == "web did not become ready in 0 seconds."
    assert caught.value.mend == f"read {supervisor._logs / 'web.log'}"


def test_console_shows_talkative_parts_with_their_names(
    supervisor: Supervisor, wait_for: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.start(script("web", "import time; print('hello'); time.sleep(60)"))
    supervisor.start(script("redis", "import time; print('noise'); time.sleep(60)", is_talkative=False))
    wait_for(lambda: log_of(supervisor, "web") == ["hello"] and log_of(supervisor, "redis") == ["noise"])

    assert capsys.readouterr().out == "web        | hello\n"


def test_log_file_turns_over_at_its_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 20)
    log = LineLog("web", tmp_path, is_talkative=False)

    log.feed(b"first line of text\nsecond line of text\nthi")
    log.feed(b"rd\n")
    log.close()

    assert (tmp_path / "web.log.1").read_text() == "first line of text\nsecond line of text\n"
    assert (tmp_path / "web.log").read_text() == "third\n"


def test_exit_status_is_told_in_words() -> None:
    assert describe_exit(3) == "ended with status 3"
    assert describe_exit(-9) == "was killed by SIGKILL"
    assert describe_exit(-63) == "was killed by signal 63"
