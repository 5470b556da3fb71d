"""A foreign server as a process: its folder, its port, its end."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from config.run.ports import is_answering, is_free

START_SECONDS = 120.0  # Erlang on a busy machine
STOP_SECONDS = 10.0
OUTPUT = "output.log"  # in the server's folder
PORTS = range(20_000, 32_000)  # below those that systems give away to whoever asks for any


def free_port() -> int:
    """Return a port for a server that cannot choose one itself; this machine's tests pass it on to nobody else for long.

    One that the system gives away would be given to the next process, too, until the server has started.
    """
    with Path(f"/tmp/obsera-test-port-{os.getuid()}").open("a+") as last:
        fcntl.flock(last, fcntl.LOCK_EX)  # the rivals: other workers of this run, and other runs
        last.seek(0)
        index = int(last.read() or random.choice(PORTS)) - PORTS.start
        port = next(
            port
            for port in (PORTS[(index + step) % len(PORTS)] for step in range(1, len(PORTS)))
            if is_free(port, "0.0.0.0") and _takes_datagrams(port)
        )
        last.truncate(0)
        last.write(str(port))
    return port


def _takes_datagrams(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as link:
        try:
            link.bind(("", port))
        except OSError:
            return False
    return True


@contextmanager
def short_folder() -> Iterator[Path]:
    """Return a folder with a path short enough for sockets, which servers that change their user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="obsera-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: list[str],
    *,
    port: int | tuple[int, ...],
    folder: Path,
    env: Mapping[str, str] | None = None,
    stop: int = signal.SIGTERM,
    is_ready: Callable[[], bool] = lambda: True,
) -> Iterator[None]:
    """Run a server until the end of the block; it is ready when it takes connections on each ``port`` and ``is_ready``."""
    log = folder / OUTPUT
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    ports = (port,) if isinstance(port, int) else port
    try:
        _wait(server, log, lambda: all(is_answering(one, timeout=5) for one in ports) and is_ready())
        yield
    finally:
        _end(server, stop)


def _wait(server: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if is_ready():
            return
        time.sleep(0.05)
    raise AssertionError(f"{server.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


def _end(server: subprocess.Popen[bytes], stop: int) -> None:
    """Ask the server to stop, then kill it with all that it has started."""
    server.send_signal(stop)
    with suppress(subprocess.TimeoutExpired):
        server.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
