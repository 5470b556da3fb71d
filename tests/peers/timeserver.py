"""chrony as a time server that serves this machine's own time and touches no clock."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.debian import need

CONFIG = """
port {port}
bindaddress 127.0.0.1
allow 127.0.0.1
cmdport 0
bindcmdaddress /
pidfile {folder}/chronyd.pid
{extra}
"""


@contextmanager
def time_server(folder: Path, *, extra: str = "local stratum 3") -> Iterator[int]:
    """Run chrony and yield its port; without ``extra`` it is synchronised with nothing."""
    chronyd = need("chronyd", package="chrony")
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "chrony.conf"
    config.write_text(CONFIG.format(port=port, folder=folder, extra=extra))
    command = [chronyd, "-d", "-x", "-U", "-u", "root", "-f", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _attempt in range(100):
        assert process.poll() is None, log.read_text(errors="replace")
        with socket.socket(type=socket.SOCK_DGRAM) as link:
            link.settimeout(0.1)
            link.connect(("127.0.0.1", port))
            try:
                link.send(b"\x23" + bytes(47))
                link.recv(100)
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError(log.read_text(errors="replace"))
