"""Real NATS servers of the tests' own: with users and JetStream, with a token, and with TLS."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.peers.certificates import tls_files
from tests.peers.debian import need
from tests.peers.process import free_port, running, short_folder

USER, PASSWORD, TOKEN = "probe", 'päss "word', "a-token"


@dataclass(frozen=True)
class Nats:
    """The ports. The first server has an account with JetStream for `USER` and one without for user ``poor``."""

    port: int
    token_port: int
    tls_port: int


@contextmanager
def nats_servers(authority: trustme.CA) -> Iterator[Nats]:
    """Run all three for the block."""
    server = need("nats-server", package="nats-server")
    with short_folder() as folder, ExitStack() as stack:
        ports, files = Nats(free_port(), free_port(), free_port()), tls_files(authority, folder)
        accounts = {
            "RICH": {"jetstream": "enabled", "users": [{"user": USER, "password": PASSWORD}]},
            "POOR": {"users": [{"user": "poor", "password": PASSWORD}]},
            "SYS": {},
        }
        settings: dict[int, dict[str, Any]] = {
            ports.port: {
                "server_name": "first",
                "jetstream": {"store_dir": str(folder / "streams")},
                "accounts": accounts,
                "system_account": "SYS",
            },
            ports.token_port: {"server_name": "second", "authorization": {"token": TOKEN}},
            ports.tls_port: {
                "server_name": "third",
                "tls": {"cert_file": str(files.certificate), "key_file": str(files.key)},
            },
        }
        for port, given in settings.items():
            stack.enter_context(_server(server, folder, port, given))
        yield ports


@contextmanager
def _server(program: str, folder: Path, port: int, given: dict[str, Any]) -> Iterator[None]:
    file = folder / f"{port}.conf"
    file.write_text(json.dumps({"host": "127.0.0.1", "port": port, **given}, ensure_ascii=False))
    with running([program, "-c", str(file)], port=port, folder=folder):
        yield
