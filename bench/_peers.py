"""Peers from Debian's packages, each started for one benchmark and stopped after it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._product import free_port

PACKAGES = "prometheus prometheus-blackbox-exporter prometheus-alertmanager"

BLACKBOX = """
modules:
  http_2xx: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}
"""
PROMETHEUS = """
global: {{scrape_interval: 10s, scrape_timeout: 5s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: probe
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ["{target}"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{target_label: __address__, replacement: "127.0.0.1:{blackbox}"}}
"""
RULES = """
groups:
  - name: probe
    rules:
      - {alert: Down, expr: probe_success == 0}
"""
ALERTMANAGER = """
route: {{receiver: sink, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: sink
    webhook_configs: [{{url: "{sink}", send_resolved: true}}]
"""


@contextmanager
def _processes(*commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextmanager
def blackbox_exporter() -> Iterator[tuple[str, int] | None]:
    """Yield the address of ``/probe`` and the process id; None, and a word why, where it is not installed."""
    if not shutil.which("prometheus-blackbox-exporter"):
        print(f"no peer: apt-get install {PACKAGES}")
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "blackbox.yml"
        config.write_text(BLACKBOX)
        command = ["prometheus-blackbox-exporter", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
        with _processes(command) as (process,):
            address = f"http://127.0.0.1:{port}"
            _await(f"{address}/-/healthy")
            yield f"{address}/probe?module=http_2xx&target=", process.pid


@contextmanager
def prometheus_line(target: str, sink: str) -> Iterator[bool]:
    """Have Prometheus, blackbox_exporter and Alertmanager watch ``target`` and post to ``sink``; yields whether they run."""
    if not all(map(shutil.which, PACKAGES.split())):
        print(f"no peer: apt-get install {PACKAGES}")
        yield False
        return
    blackbox, alertmanager, prometheus = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "blackbox.yml").write_text(BLACKBOX)
        (home / "rules.yml").write_text(RULES)
        (home / "alertmanager.yml").write_text(ALERTMANAGER.format(sink=sink))
        (home / "prometheus.yml").write_text(
            PROMETHEUS.format(target=target, blackbox=blackbox, alertmanager=alertmanager)
        )
        commands = (
            [
                "prometheus-blackbox-exporter",
                f"--config.file={home}/blackbox.yml",
                f"--web.listen-address=127.0.0.1:{blackbox}",
            ],
            [
                *("prometheus-alertmanager", f"--config.file={home}/alertmanager.yml", f"--storage.path={home}/alerts"),
                *(f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address="),
            ],
            [
                *("prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"),
                f"--web.listen-address=127.0.0.1:{prometheus}",
            ],
        )
        with _processes(*commands):
            _await(f"http://127.0.0.1:{prometheus}/-/ready")
            _await(f"http://127.0.0.1:{alertmanager}/-/ready")
            yield True


def _await(url: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} does not answer") from None
            time.sleep(0.1)
