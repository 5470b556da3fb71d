"""chrony as a time server that serves this machine's own time and touches no clock."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.debian import need
from tests.peers.process import free_port, running

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
    port = free_port()
    config = folder / "chrony.conf"
    config.write_text(CONFIG.format(port=port, folder=folder, extra=extra))
    command = [chronyd, "-d", "-x", "-U", "-u", "root", "-f", str(config)]
    with running(command, port=(), folder=folder, is_ready=lambda: _answers(port)):
        yield port


def _answers(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as link:
        link.settimeout(1)
        link.connect(("127.0.0.1", port))
        try:
            link.send(b"\x23" + bytes(47))
            return bool(link.recv(100))
        except OSError:
            return False
