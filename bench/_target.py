"""One cheap target: nginx from Debian, answering every path, those that are broken with 503."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench._product import free_port

CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  log_format dot "."; access_log {log}; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {switch} return 200 "all is well\\n"; }} }}
}}
"""


SWITCH = "if (-f {folder}/broken$uri) {{ return 503; }}"


@dataclass(frozen=True, slots=True)
class SwitchedTarget:
    """Says 200, or 503 for the paths of one part that are broken; counts what it was asked."""

    url: str
    folder: Path

    def break_path(self, path: str) -> None:
        (self.folder / "broken" / path.strip("/")).touch()

    def mend_all(self) -> None:
        for broken in (self.folder / "broken").iterdir():
            broken.unlink()

    @property
    def hits(self) -> int:
        """Return how many requests were answered until a second ago."""
        return (self.folder / "asked").stat().st_size // 2


@contextmanager
def nginx_target() -> Iterator[str]:
    """Yield the address of a server that says 200 to everything."""
    with tempfile.TemporaryDirectory() as folder, _running(Path(folder), log="off", switch="") as url:
        yield url


@contextmanager
def switched_target() -> Iterator[SwitchedTarget]:
    """Yield a server whose paths can be broken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # its worker is another user
        (folder / "broken").mkdir()
        log, switch = f"{folder}/asked dot buffer=64k flush=1s", SWITCH.format(folder=folder)
        with _running(folder, log=log, switch=switch) as url:
            yield SwitchedTarget(url, folder)


@contextmanager
def _running(folder: Path, *, log: str, switch: str) -> Iterator[str]:
    if not shutil.which("nginx"):
        raise SystemExit("the target is nginx: apt-get install nginx-light")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, log=log, switch=switch))
    process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        _await(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await(port: int) -> None:
    for _ in range(100):
        try:
            HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("nginx did not start")
