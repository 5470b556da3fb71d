"""A real PostgreSQL of the tests' own, with one user for each way to log in."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import trustme

from config.run.parts import child_argv, run_tool
from config.run.postgres import find_binaries, find_identity
from tests.peers.certificates import tls_files
from tests.peers.process import START_SECONDS, free_port, running, short_folder

PASSWORD = "pässwörd of ①"  # SASLprep makes a 1 of the last sign
USERS = {"scram_user": "scram-sha-256", "md5_user": "md5", "clear_user": "password", "open_user": "trust"}


@dataclass(frozen=True)
class Database:
    """Where the server is; database `shop` has a table `orders` with three rows that everybody may read and write."""

    port: int
    major: int


def debian_binaries() -> Path | None:
    """Return Debian's PostgreSQL, which knows TLS; the embedded one does not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def postgres(authority: trustme.CA | None = None, binaries: Path | None = None) -> Iterator[Database]:
    """Run PostgreSQL for the block, with TLS where an authority is given."""
    binaries = binaries or find_binaries()
    identity = find_identity(binaries)
    with short_folder() as folder:
        home = folder / "home"
        home.mkdir(mode=0o700)
        _own(home, identity)
        _make(binaries, home, identity)
        port = free_port()
        options = (
            ["port", str(port)],
            ["listen_addresses", "localhost"],
            ["unix_socket_directories", ""],
            ["fsync", "off"],
        )
        if authority is not None:
            files = tls_files(authority, home)
            files.key.chmod(0o600)
            _own(home, identity)
            options = (
                *options,
                ["ssl", "on"],
                ["ssl_cert_file", str(files.certificate)],
                ["ssl_key_file", str(files.key)],
            )
        words = [word for name, value in options for word in ("-c", f"{name}={value}")]
        command = child_argv((str(binaries / "postgres"), "-D", str(home / "data"), *words), identity=identity)
        with running(command, port=port, folder=folder, stop=signal.SIGINT):
            yield Database(port, _furnish(port))


def _own(home: Path, identity: str) -> None:
    if os.geteuid() == 0 and identity.startswith("user:"):
        owner = identity.removeprefix("user:")
        subprocess.run([shutil.which("chown") or "chown", "-R", f"{owner}:{owner}", str(home)], check=True)


def _make(binaries: Path, home: Path, identity: str) -> None:
    made = run_tool(
        (str(binaries / "initdb"), "-D", str(home / "data"), "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"),
        identity=identity,
        env={"LC_ALL": "C"},
    )
    assert made.returncode == 0, made.stdout
    lines = [f"host all {user} all {way}" for user, way in USERS.items()]
    text = "\n".join(["host all admin all trust", *lines, "host all all all reject"])
    (home / "data" / "pg_hba.conf").write_text(f"{text}\n")


def _admin(port: int, database: str) -> psycopg.Connection[Any]:
    """Connect as the one who may do all; a server takes connections a moment before it serves them."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(host="127.0.0.1", port=port, user="admin", dbname=database, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _furnish(port: int) -> int:
    with _admin(port, "postgres") as admin:
        for user, way in USERS.items():
            kind = "md5" if way == "md5" else "scram-sha-256"
            admin.execute("SELECT set_config('password_encryption', %s, false)", (kind,))
            admin.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
        admin.execute("CREATE DATABASE shop")
        admin.execute("CREATE DATABASE vault")
        admin.execute("REVOKE CONNECT ON DATABASE vault FROM public")
        major = admin.info.server_version // 10_000
    with _admin(port, "shop") as admin:
        admin.execute("CREATE TABLE orders (id int, state text)")
        admin.execute("INSERT INTO orders VALUES (1, 'open'), (2, 'stuck'), (3, NULL)")
        admin.execute("GRANT ALL ON orders TO public")
    return major
