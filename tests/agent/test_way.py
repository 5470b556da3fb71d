"""The way to the server: when it is there, and what is said where it is lost. No question is asked of the server."""

import logging
import threading
import time
from pathlib import Path

import pycurl
import pytest
import trustme

from config.agent import way
from config.agent.server_clock import steady_seconds
from config.agent.way import WayHome, lost_way
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


def test_a_look_that_cannot_be_prepared_is_a_lost_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise pycurl.error(pycurl.E_OUT_OF_MEMORY, "")

    monkeypatch.setattr(way, "way_to", fail)

    assert lost_way("https://obsera.example") == str(pycurl.E_OUT_OF_MEMORY)


class TestWayHome:
    """What is made of a connection that cannot be opened."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr(way, "CONNECT_SECONDS", 0.5)
        caplog.set_level(logging.INFO, way.__name__)

    def test_an_answer_to_a_question_of_before_shows_nothing(self) -> None:
        asked_at = steady_seconds()

        assert WayHome(lambda: "no name", lambda: asked_at, threading.Event()).lost() == "no name"

    def test_an_answer_to_a_question_of_since_is_awaited_and_shows_that_the_network_is_well(self) -> None:
        began = steady_seconds()
        home = WayHome(lambda: "no name", lambda: max(began - 1, steady_seconds() - 0.2), threading.Event())

        assert home.lost() == ""

    def test_nothing_is_awaited_by_one_who_is_to_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(way, "CONNECT_SECONDS", 60.0)
        stop = threading.Event()
        stop.set()
        began = time.monotonic()

        assert WayHome(lambda: "no name", lambda: float("-inf"), stop).lost() == "no name"
        assert time.monotonic() - began < 30

    def test_each_change_is_logged_once_with_its_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        reasons = iter(["", "no name", "no route", "no name", "no port", "", ""])
        is_answered = iter([False, False, True, True])
        home = WayHome(lambda: next(reasons), lambda: float("inf" if next(is_answered) else "-inf"), threading.Event())
        home._stop.set()

        for _look in range(7):
            home.lost()

        assert [record.getMessage() for record in caplog.records] == [
            "the server cannot be reached (no name): what fails here meanwhile is unknown, and no downtime",
            "no new connection to the server (no name), but one that is open answers: what fails here counts",
            "connections to the server can be opened again: what fails here counts",
        ]
