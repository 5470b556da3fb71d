"""CPU-seconds per 1,000 HTTP probes: the probe engine against prometheus-blackbox-exporter, in the same minutes.

Run it as ``python -m bench.probe_engine``. Both sides probe the same nginx on this machine, each probe on a connection of
its own, fifty at a time, and measure every phase. Rounds alternate; the medians and their ratio are printed. Only the
prober's own CPU time counts: neither nginx's nor that of the client that drives the exporter.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import quote

import trustme
import uvloop

from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.http import HttpConfig

EXPORTER = "prometheus-blackbox-exporter"
HTTP_PORT, TLS_PORT, EXPORTER_PORT = 18711, 18712, 18713
AT_ONCE = 50
CONFIGS = 100
TARGETS = {"http": f"http://127.0.0.1:{HTTP_PORT}/", "tls": f"https://127.0.0.1:{TLS_PORT}/"}
GOALS = {"http": 0.25, "tls": 0.8}

NGINX_CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; default_type text/html;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{http} backlog=4096; location / {{ return 200 "all is well\\n"; }} }}
  server {{ listen 127.0.0.1:{tls} ssl backlog=4096; ssl_certificate {folder}/server.pem;
           ssl_certificate_key {folder}/server.key; location / {{ return 200 "all is well\\n"; }} }}
}}
"""
EXPORTER_CONFIG = """
modules:
  http_2xx:
    prober: http
    timeout: 10s
    http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: "{folder}/ca.pem"}}}}
"""


def main() -> int:
    options = _options()
    for program, package in (("nginx", "nginx-light"), (EXPORTER, EXPORTER)):
        if shutil.which(program) is None:
            print(f"{program} is missing: apt-get install {package}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="bench-probe-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        _write_files(folder)
        os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")
        with _program(["nginx", "-c", str(folder / "nginx.conf")], HTTP_PORT), _exporter(folder) as exporter:
            return max(_compare(kind, exporter, options) for kind in options.kinds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=1_000, help="probes a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    return parser.parse_args()


def _write_files(folder: Path) -> None:
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    server = authority.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.RSA)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    for part in server.cert_chain_pems:
        part.write_to_path(folder / "server.pem", append=True)
    (folder / "nginx.conf").write_text(NGINX_CONFIG.format(folder=folder, http=HTTP_PORT, tls=TLS_PORT))
    (folder / "exporter.yml").write_text(EXPORTER_CONFIG.format(folder=folder))


@contextmanager
def _program(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; wait for its port first."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        try:
            HTTPConnection("127.0.0.1", port, timeout=1).connect()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{process.args!r} does not listen on port {port}")


@contextmanager
def _exporter(folder: Path) -> Iterator[int]:
    command = [
        EXPORTER,
        f"--config.file={folder / 'exporter.yml'}",
        f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}",
        "--log.level=error",
    ]
    with _program(command, EXPORTER_PORT) as process:
        yield process.pid


def _compare(kind: str, exporter: int, options: argparse.Namespace) -> int:
    """Print the figures of one kind of target; return 1 where the goal was missed."""
    url, scale = TARGETS[kind], 1_000 / options.probes
    ours: list[float] = []
    theirs: list[float] = []
    for round_number in range(options.rounds + 1):
        engine = uvloop.run(_engine_round(url, options.probes)) * scale
        peer = _exporter_round(url, options.probes, exporter) * scale
        if round_number:  # the first warms both up
            ours.append(engine)
            theirs.append(peer)
    ratio = median(ours) / median(theirs)
    verdict = "reached" if ratio <= GOALS[kind] else "MISSED"
    print(f"{kind}: CPU-seconds per 1,000 probes, median of {options.rounds} (lowest to highest)")
    print(f"  engine             {median(ours):.3f}  ({min(ours):.3f} to {max(ours):.3f})")
    print(f"  blackbox_exporter  {median(theirs):.3f}  ({min(theirs):.3f} to {max(theirs):.3f})")
    print(f"  ratio              {ratio:.3f}  (goal {GOALS[kind]}: {verdict})", flush=True)
    return int(ratio > GOALS[kind])


async def _engine_round(url: str, probes: int) -> float:
    """Return the CPU seconds that this process took for one round."""
    # As a prober holds them: prepared once for each version of a check's settings, not once a probe.
    configs = [HttpConfig(url=f"{url}?check={number}") for number in range(CONFIGS)] * (probes // CONFIGS)
    outcomes: list[Outcome] = []
    done = asyncio.Event()

    def keep(_token: object, outcome: Outcome, _started_at: object) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(configs):
            done.set()

    loop = ProbeLoop(keep, max_in_flight=AT_ONCE)
    for config in configs[:CONFIGS]:  # the trusted roots, too, are parsed once per process
        loop.submit(ProbeJob(None, "http", config, 10, allow_private=True))
    while loop.in_flight:
        await asyncio.sleep(0.01)
    outcomes.clear()
    began = time.process_time()
    for config in configs:
        loop.submit(ProbeJob(None, "http", config, 10, allow_private=True))
    await done.wait()
    spent = time.process_time() - began
    loop.close()
    failed = next((outcome for outcome in outcomes if outcome.verdict != Verdict.SUCCESS), None)
    if failed is not None:
        raise SystemExit(f"the engine failed to probe {url}: {failed.error_code} {failed.error_values}")
    return spent


def _exporter_round(url: str, probes: int, exporter: int) -> float:
    """Return the CPU seconds that the exporter took for one round."""
    began = _cpu_seconds(exporter)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(_scrape, [url] * AT_ONCE, [probes // AT_ONCE] * AT_ONCE))
    return _cpu_seconds(exporter) - began


def _scrape(url: str, times: int) -> None:
    """Ask the exporter for probes over one lasting connection, as Prometheus does."""
    connection = HTTPConnection("127.0.0.1", EXPORTER_PORT, timeout=30)
    for _number in range(times):
        connection.request("GET", f"/probe?module=http_2xx&target={quote(url, safe='')}")
        if b"\nprobe_success 1" not in connection.getresponse().read():
            raise SystemExit(f"the exporter failed to probe {url}")
    connection.close()


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    raise SystemExit(main())
