"""A Prometheus that scrapes what a test gives it."""

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.peers.debian import need
from tests.peers.process import free_port, running, short_folder


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    port: int

    def value(self, query: str, *, within: float = 120) -> float:
        """Return the first value of a query, as soon as there is one."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = self._ask(query)
            if found:
                return float(found[0]["value"][1])
            time.sleep(0.2)
        raise AssertionError(f"no value for {query}")

    def _ask(self, query: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")
            answer = connection.getresponse()
            return json.load(answer)["data"]["result"] if answer.status == 200 else None  # 503 while it starts
        finally:
            connection.close()


@contextmanager
def prometheus(scrape_configs: str) -> Iterator[Prometheus]:
    """Run Debian's Prometheus with these scrape configurations, each asked as often as a busy machine can answer."""
    command, port = need("prometheus", package="prometheus"), free_port()
    with short_folder() as folder:
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 5s, scrape_timeout: 5s}}\nscrape_configs:\n{scrape_configs}"
        )
        arguments = [
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running([command, *arguments], port=port, folder=folder):
            yield Prometheus(port)
