"""Uptime Kuma, from npm, on a MariaDB of its own, for one benchmark.

npm's newest is a preview of 2.0; SQLite, the other database it takes, needs a compiler here and a file from elsewhere.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench._product import free_port
from config.run.bootstrap import find_npm
from config.run.paths import PROJECT
from config.run.ports import is_answering

VERSION = "2.0.0-dev.0"
DATABASE, PASSWORD = "kuma", "only-for-this-benchmark"
CONNECTION = {"type": "mariadb", "hostname": "127.0.0.1", "username": "kuma"}
ADD = (
    "INSERT INTO monitor (name, type, method, accepted_statuscodes_json, url, `interval`, retry_interval, timeout)"
    " VALUES {rows};"
)
ROW = """('c{number}', 'http', 'GET', '["200-299"]', '{url}', {interval}, {interval}, 5)"""
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Kuma:
    """The server with its database; both count."""

    pids: tuple[int, ...]
    _client: tuple[str, ...]

    def probes(self) -> int:
        """Return how many beats it has stored."""
        return int(_ask(self._client, "SELECT count(*) FROM heartbeat;", is_told=True))


@contextmanager
def kuma_watching(targets: list[str], interval: int) -> Iterator[Kuma | None]:
    """Have Uptime Kuma watch the targets, all of them begun; None, and a word why, where a part cannot be had."""
    server, install, client = (
        shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        for name in ("mariadbd", "mariadb-install-db", "mariadb")
    )
    if not (server and install and client):
        print("no Uptime Kuma: apt-get install mariadb-server")
        yield None
        return
    package, environment = _install()
    with tempfile.TemporaryDirectory(prefix="obsera-kuma-", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with _mariadb(home, server, install, client) as (database, port, ask):
            door = free_port()
            kuma = ["node", "server/server.js", f"--data-dir={home}/data/", "--host=127.0.0.1", f"--port={door}"]
            (home / "data").mkdir()
            (home / "data" / "db-config.json").write_text(
                json.dumps({**CONNECTION, "port": port, "dbName": DATABASE, "password": PASSWORD})
            )
            with _process(kuma, package, environment, home):  # it makes its tables now, and reads monitors as it starts
                _await(lambda: is_answering(door, timeout=5), home)
            rows = [ROW.format(number=number, url=url, interval=interval) for number, url in enumerate(targets)]
            _ask(ask, ADD.format(rows=", ".join(rows)), is_told=True)
            with _process(kuma, package, environment, home) as process:
                begun = "SELECT count(DISTINCT monitor_id) FROM heartbeat;"
                _await(lambda: _ask(ask, begun) == str(len(targets)), home, seconds=START_SECONDS + len(targets))
                yield Kuma((process, database), ask)


def _install() -> tuple[Path, Mapping[str, str]]:
    """Fetch the package once; return its folder and the environment with its node."""
    npm, path = find_npm()
    environment = {**os.environ, "PATH": path, "NODE_ENV": "production"}
    folder = PROJECT / "var" / "bench" / f"uptime-kuma-{VERSION}"
    package = folder / "node_modules" / "uptime-kuma"
    ready = folder / "complete"
    if not ready.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)]
        subprocess.run([*npm, "install", *options, f"uptime-kuma@{VERSION}"], check=True, env=environment)
        ready.touch()
    return package, environment


@contextmanager
def _mariadb(home: Path, server: str, install: str, client: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Run MariaDB as it comes; its process, its port, and the command that asks Uptime Kuma's database."""
    user, data, port, socket = getpass.getuser(), home / "mysql", free_port(), home / "server.sock"
    made = [install, "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"]
    subprocess.run([*made, "--auth-root-authentication-method=normal"], check=True, capture_output=True, cwd=home)
    command = [server, "--no-defaults", f"--datadir={data}", f"--user={user}", f"--socket={socket}"]
    where = [f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={home}/server.pid", "--skip-name-resolve"]
    with _process([*command, *where], home, os.environ, home) as process:
        ask = (client, "--no-defaults", "--socket", str(socket), "-u", "root", "-N")
        _await(lambda: _ask(ask, "SELECT 1;") == "1", home)
        _ask(
            ask,
            f"CREATE DATABASE {DATABASE}; CREATE USER kuma@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            f" GRANT ALL ON {DATABASE}.* TO kuma@'127.0.0.1';",
            is_told=True,
        )
        yield process, port, (*ask, DATABASE)


@contextmanager
def _process(command: list[str], folder: Path, environment: Mapping[str, str], home: Path) -> Iterator[int]:
    with (home / "output.log").open("ab") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(client: tuple[str, ...], statements: str, *, is_told: bool = False) -> str:
    """Return what the statements print; nothing where they fail, unless that ``is_told``: it ends the benchmark."""
    asked = subprocess.run(client, input=statements, text=True, capture_output=True, check=False)
    if is_told and asked.returncode:
        raise SystemExit(asked.stderr[-500:])
    return asked.stdout.strip()


def _await(is_so: Callable[[], bool], home: Path, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit("Uptime Kuma did not start:\n" + (home / "output.log").read_text()[-2_000:])
        time.sleep(0.5)
