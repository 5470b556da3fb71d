"""OpenSSH's server with host keys of its own."""

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.debian import need

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
PidFile none
UsePAM no
MaxStartups 100
"""


@dataclass(frozen=True)
class SshServer:
    """A running server and the fingerprint of each of its host keys, by kind."""

    port: int
    fingerprints: Mapping[str, str]


@contextmanager
def ssh_server(folder: Path, *kinds: str, extra: str = "") -> Iterator[SshServer]:
    """Run sshd with host keys of the given kinds."""
    sshd = need("sshd", package="openssh-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)  # where it insists on shutting its unprivileged half in
    lines = [CONFIG.format(port=port), extra]
    fingerprints = {}
    for kind in kinds:
        key = folder / f"key_{kind}"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
        shown = subprocess.run(["ssh-keygen", "-l", "-f", key], check=True, capture_output=True, text=True).stdout
        fingerprints[kind] = shown.split()[1]
        lines.append(f"HostKey {key}\n")
    config = folder / "sshd_config"
    config.write_text("".join(lines))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield SshServer(port, fingerprints)
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _attempt in range(200):
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text(errors="replace"))
