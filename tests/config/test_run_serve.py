"""What `make run` says about ports, a second start, wrong settings, and Redis of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from config.run import front_door, serve
from config.run.errors import RunError
from config.run.manage import is_product_running
from config.run.ports import is_free, remembered
from config.run.supervisor import Supervisor
from config.run.valkey import is_ready, prepare_cache
from tests.peers.process import free_port


def test_error_shows_problem_and_every_line_of_the_mend() -> None:
    error = RunError("the port is taken.", mend="first\nsecond")

    assert str(error) == "Error: the port is taken.\nTo mend it:\n    first\n    second"
    assert str(RunError("the disk is full.")) == "Error: the disk is full."


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "8000.5", "²"])
def test_port_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)

    with pytest.raises(RunError, match=r"is not a port number \(1 to 65535\)"):
        front_door.chosen_port()


def test_port_is_8000_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert front_door.chosen_port() == 8000

    monkeypatch.setenv("PORT", "8123")
    assert front_door.chosen_port() == 8123


def test_taken_port_is_named_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOST", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]

        with pytest.raises(RunError) as caught:
            front_door.open_listeners(port)

    assert caught.value.problem.startswith(f"port {port} on 127.0.0.1 cannot be used: ")
    assert caught.value.mend == f"make run PORT={port + 1}"


def test_every_loopback_address_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOST", raising=False)
    port = free_port()

    listeners = front_door.open_listeners(port)

    names = [listener.getsockname()[:2] for listener in listeners]
    assert names[0] == ("127.0.0.1", port)
    assert set(names) <= {("127.0.0.1", port), ("::1", port)}
    assert not is_free(port)
    for listener in listeners:
        listener.close()


def test_chosen_host_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "127.0.0.2")
    port = free_port()

    (listener,) = front_door.open_listeners(port)

    assert listener.getsockname() == ("127.0.0.2", port)
    listener.close()


def test_nobody_listening_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOST", raising=False)

    assert front_door.is_ready(free_port()) is False


def test_service_keeps_its_port_until_somebody_else_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "port"
    first = remembered(file)

    assert remembered(file) == first
    with socket.create_server(("127.0.0.1", first)):
        assert remembered(file) != first


def test_second_start_names_the_first(tmp_path: Path) -> None:
    with serve.only_one(tmp_path, 8000):
        with pytest.raises(RunError) as caught, serve.only_one(tmp_path, 8000):
            pass
        pid = os.getpid()

    assert caught.value.problem == f"Obsera already runs in this folder (process {pid}) at http://localhost:8000."
    assert caught.value.mend.splitlines()[0] == f"use it, or stop it: kill {pid}"
    with serve.only_one(tmp_path, 8001):
        assert (tmp_path / "obsera.lock").read_text() == f"{pid} http://localhost:8001"


def test_lock_of_a_killed_start_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSERA_VAR", str(tmp_path))
    (tmp_path / "run").mkdir()
    code = f"""
from pathlib import Path
from config.run.serve import only_one
with only_one(Path({str(tmp_path / "run")!r}), 8000):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        was_running = is_product_running()
        holder.send_signal(signal.SIGKILL)

    assert was_running is True
    assert is_product_running() is False


def test_wrong_setting_is_told_in_one_line() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "config/env.py", line 41, in integer',
        "django.core.exceptions.ImproperlyConfigured: PORT='abc' is not a whole number from 1 to 65535.",
    ]

    error = serve.explain(lines, Path("install.log"))

    assert error.problem == "PORT='abc' is not a whole number from 1 to 65535."
    assert error.mend == "change that setting in the environment, then: make run"


def test_other_failures_show_the_end_of_their_output() -> None:
    error = serve.explain([str(number) for number in range(9)], Path("install.log"))

    assert error.problem.splitlines() == ["the product could not be prepared:", *"345678"]
    assert error.mend == "read install.log"


def test_workers_serve_one_queue_each() -> None:
    parts = {part.name: part.argv for part in serve._workers({})}

    assert list(parts) == ["probes", "events", "deliveries", "scheduler"]
    for queue in ("probes", "events", "deliveries"):
        assert parts[queue][parts[queue].index("--queues") + 1] == queue


def test_redis_asks_for_its_password_and_keeps_nothing(
    tmp_path: Path, supervisor: Supervisor, wait_for: Callable[..., None]
) -> None:
    home = tmp_path / 'with "quote" and space'
    cache = prepare_cache(home)
    supervisor.start(cache.part())
    wait_for(lambda: is_ready(cache))

    with redis.Redis.from_url(cache.url) as client:
        client.set("key", "value")
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
    with redis.Redis(port=cache.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert (home / "valkey.conf").stat().st_mode & 0o777 == 0o600

    supervisor.stop_all()
    assert [path.name for path in home.iterdir() if path.suffix in {".rdb", ".aof"}] == []
    assert prepare_cache(home) == cache
