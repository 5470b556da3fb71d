"""Peers from Debian's packages, each started for one benchmark and stopped after it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
# As many targets as the product has checks, each scraped through the exporter at the checks' interval.
SCRAPING = """
global: {{scrape_interval: {interval}s, scrape_timeout: 5s}}
scrape_configs:
  - job_name: probe
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: {targets}}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__address__], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{blackbox}"}}
"""
SCRAPES = "prometheus_target_interval_length_seconds_count"
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


@dataclass(frozen=True, slots=True)
class Scraper:
    """Prometheus and the exporter that it scrapes."""

    url: str
    pids: tuple[int, ...]

    def probes(self) -> int:
        """Return how many probes there have been, but for each target's first."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith(SCRAPES)))


@contextmanager
def prometheus_scraping(targets: list[str], interval: int) -> Iterator[Scraper | None]:
    """Have Prometheus probe the targets through blackbox_exporter; None, and a word why, where they are not installed."""
    if not all(map(shutil.which, ("prometheus", "prometheus-blackbox-exporter"))):
        print(f"no peer: apt-get install {PACKAGES}")
        yield None
        return
    blackbox, prometheus = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "blackbox.yml").write_text(BLACKBOX)
        (home / "prometheus.yml").write_text(
            SCRAPING.format(interval=interval, targets=json.dumps(targets), blackbox=blackbox)
        )
        exporter = ["prometheus-blackbox-exporter", f"--config.file={home}/blackbox.yml"]
        server = ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"]
        with _processes(
            [*exporter, f"--web.listen-address=127.0.0.1:{blackbox}"],
            [*server, f"--web.listen-address=127.0.0.1:{prometheus}"],
        ) as started:
            _await(f"http://127.0.0.1:{prometheus}/-/ready")
            yield Scraper(f"http://127.0.0.1:{prometheus}", tuple(process.pid for process in started))


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
