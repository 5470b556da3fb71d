"""OpenSSH's server with host keys of its own."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.debian import need
from tests.peers.process import free_port, running

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
    port = free_port()
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
    with running([sshd, "-D", "-e", "-f", str(config)], port=port, folder=folder):
        yield SshServer(port, fingerprints)
