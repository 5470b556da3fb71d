"""A foreign server as a process: its folder, its port, its end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 120.0  # Erlang on a busy machine
STOP_SECONDS = 10.0


def free_port() -> int:
    """Return a port for a server that cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    command: list[str], *, port: int, folder: Path, env: Mapping[str, str] | None = None, stop: int = signal.SIGTERM
) -> Iterator[None]:
    """Run a server until the end of the block; it is ready when it takes connections on ``port``."""
    log = folder / "output.log"
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
    try:
        _wait(server, port, log)
        yield
    finally:
        _end(server, stop)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
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
