"""A real Mosquitto of the tests' own, over TCP and TLS."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trustme

from tests.peers.certificates import tls_files
from tests.peers.debian import need
from tests.peers.process import free_port, running, short_folder

USER, PASSWORD = "probe", "pässword"


@dataclass(frozen=True)
class Mosquitto:
    """The ports. `USER` may read and write below ``open/``, read only below ``read/``, and nothing else."""

    port: int
    tls_port: int


@contextmanager
def mosquitto(authority: trustme.CA) -> Iterator[Mosquitto]:
    """Run Mosquitto for the block."""
    server = need("mosquitto", package="mosquitto")
    keeper = need("mosquitto_passwd", package="mosquitto")
    with short_folder() as folder:
        ports, files = Mosquitto(free_port(), free_port()), tls_files(authority, folder)
        (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
        subprocess.run([keeper, "-U", str(folder / "users")], check=True, capture_output=True)
        (folder / "rights").write_text(f"user {USER}\ntopic readwrite open/#\ntopic read read/#\n")
        (folder / "mosquitto.conf").write_text(
            f"""
{"user root" if os.geteuid() == 0 else ""}
allow_anonymous false
password_file {folder}/users
acl_file {folder}/rights
listener {ports.port} 127.0.0.1
listener {ports.tls_port} 127.0.0.1
certfile {files.certificate}
keyfile {files.key}
"""
        )
        with running([server, "-c", str(folder / "mosquitto.conf")], port=(ports.port, ports.tls_port), folder=folder):
            yield ports
