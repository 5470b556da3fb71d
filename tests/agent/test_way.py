"""The way to the server: when it is there, and what is said where it is lost. No question is asked of the server."""

import time
from pathlib import Path

import pytest
import trustme

from config.agent import way
from config.agent.way import lost_way
from tests.agent.stand_in import StandIn, await_true, serving
from tests.agent.test_connection import trustme_context
from tests.peers.certificates import tls_files
from tests.peers.process import free_port
from tests.peers.tls_front import tls_front
from tests.peers.web import answer, saying
from tests.peers.web import serving as serving_web


def test_a_server_that_takes_connections_is_there_whatever_it_would_say() -> None:
    server = StandIn()
    server.misbehave = lambda _call: (503, {}, b"")

    with serving(server) as url:
        assert lost_way(url) == ""
        await_true(lambda: server.connections == 1)

    assert server.calls == []


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "nowhere.invalid"])
def test_a_name_or_a_port_that_is_not_there_is_said(host: str) -> None:
    assert lost_way(f"https://{host.format(port=free_port())}") != ""


def test_a_way_that_swallows_everything_is_lost_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "CONNECT_SECONDS", 0.5)
    with serving_web(lambda _link, _asked: web.stopped.wait(60) and None, listens=False) as web:
        began = time.monotonic()
        lost = lost_way(f"https://127.0.0.1:{web.port}")

    assert "timed out" in lost
    assert time.monotonic() - began < 30


def test_another_server_in_its_place_is_not_ours(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = tls_files(authority, tmp_path)
    with serving(StandIn()) as url, tls_front(int(url.rpartition(":")[2]), trustme_context(authority)) as port:
        assert lost_way(f"https://localhost:{port}", named_ca_file=str(files.authority)) == ""
        assert "certificate" in lost_way(f"https://localhost:{port}")


def test_the_systems_proxy_is_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_web(saying(answer(502))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())

        assert "502" in lost_way("https://obsera.example")

    assert proxy.asked[0].startswith(b"CONNECT obsera.example:443 HTTP/1.1\r\n")
