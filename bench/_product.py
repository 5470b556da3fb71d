"""Run the whole product for a benchmark: its own folder, its own port, its real supervisor."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

PROJECT = Path(__file__).resolve().parents[1]
READY_SECONDS = 360
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Product:
    """A running product and the ways to look into it."""

    process: subprocess.Popen[bytes]
    var: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.var / "run" / "environment.json").read_text())
        return found

    @property
    def first_run(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.var / "first-run.json").read_text())
        return found

    def parts(self) -> dict[str, int]:
        """Return the process id of each part as of now."""
        try:
            found: dict[str, int] = json.loads((self.var / "run" / "parts.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def database(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection that sees every tenant's rows, as the probers do."""
        connection = psycopg.connect(self.environment["DATABASE_URL"], autocommit=True)
        connection.execute("SET ROLE obsera_system")
        return connection

    def python(self, code: str) -> str:
        """Run code inside the product's settings and return what it prints."""
        setup = "import django; django.setup()\n"
        answer = subprocess.run(
            [sys.executable, "-c", setup + code],
            cwd=PROJECT,
            env={**os.environ, **self.environment},
            check=True,
            stdout=subprocess.PIPE,
        )
        return answer.stdout.decode()

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds each part has used with its children, living and reaped."""
        usage = _usage_by_process()
        return {name: _tree_seconds(pid, usage) for name, pid in self.parts().items()}


def _usage_by_process() -> dict[int, tuple[int, float]]:
    """Return parent and CPU seconds (with reaped children) of every process."""
    usage: dict[int, tuple[int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        usage[int(folder.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return usage


def _tree_seconds(root: int, usage: Mapping[int, tuple[int, float]]) -> float:
    members, total = {root}, usage.get(root, (0, 0.0))[1]
    grew = True
    while grew:
        grew = False
        for pid, (parent, seconds) in usage.items():
            if parent in members and pid not in members:
                members.add(pid)
                total += seconds
                grew = True
    return total


def tree_seconds(root: int) -> float:
    """Return the CPU seconds that a process and all below it have used."""
    return _tree_seconds(root, _usage_by_process())


def tree(root: int) -> list[int]:
    """Return a process and all below it."""
    usage = _usage_by_process()
    members = [root]
    for pid in members:
        members.extend(child for child, (parent, _) in usage.items() if parent == pid)
    return members


def kill_tree(root: int) -> None:
    """``kill -9`` a part with everything it started, at once."""
    for pid in tree(root):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@contextmanager
def running_product(**environment: str) -> Iterator[Product]:
    """Serve the product from an empty folder until the block ends."""
    with tempfile.TemporaryDirectory(prefix="obsera-bench-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        env = {**os.environ, "OBSERA_VAR": folder, "PORT": str(port), **environment}
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "OBSERA_TEST", "DJANGO_SETTINGS_MODULE"):
            env.pop(name, None)
        os.chmod(folder, 0o755)
        with (Path(folder) / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "config.run", "serve"],
                cwd=PROJECT,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            product = Product(process, Path(folder), port)
            try:
                _await_ready(product)
                yield product
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)


def _await_ready(product: Product) -> None:
    deadline = time.monotonic() + READY_SECONDS
    log = product.var / "serve.log"
    while f"ready at http://localhost:{product.port}" not in log.read_text(errors="replace"):
        if time.monotonic() > deadline or product.process.poll() is not None:
            raise SystemExit(f"the product did not start:\n{log.read_text(errors='replace')[-3_000:]}")
        time.sleep(0.2)
