"""The ping lane on a socket: it takes plain pings, hands everything else over, and loses no byte doing so."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest
import uvicorn
from django.db import transaction

from apps.checks.consumers import PingDoor
from apps.checks.domain.ping_dialects import ip_of
from apps.checks.models import Check, Heartbeat, Ping
from apps.checks.ping_lane import look_at, met_before, parsed
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from config.run.lane import pings_first
from tests.checks.test_ping_door import behind
from tests.checks.test_pings import heartbeat, token_of
from tests.rivals import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[uvicorn.Server]:
    door = PingDoor(behind)
    config = uvicorn.Config(
        door, http=pings_first(door), port=0, lifespan="on", log_config=None, proxy_headers=True, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def check(acme: Tenant) -> Iterator[Check]:
    with tenant_scope(acme.id):
        yield heartbeat()


class Line:
    """A connection, and what is said on it byte by byte."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.socket = socket.create_connection(server.servers[0].sockets[0].getsockname()[:2], timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, text: str) -> None:
        self.socket.sendall(text.replace("\n", "\r\n").encode())

    def hear(self, *ends: bytes) -> bytes:
        """Return what comes until all ``ends`` were heard in their order, or the connection ends."""
        heard, awaited = b"", list(ends)
        while awaited or not ends:
            chunk = self.socket.recv(65_536)
            if not chunk:
                break
            heard += chunk
            while awaited and awaited[0] in heard:
                awaited.pop(0)
        return heard


def test_answer_is_complete_http(server: uvicorn.Server, check: Check) -> None:
    with Line(server) as line:
        line.say(f"GET /ping/{token_of(check)} HTTP/1.1\nHost: a\nConnection: close\n\n")
        head, _gap, body = line.hear().partition(b"\r\n\r\n")

    first, *fields = head.split(b"\r\n")
    assert (first, body) == (b"HTTP/1.1 200 OK", b"OK")
    assert fields[0].startswith(b"date: ")
    assert fields[1:] == [
        b"content-length: 2",
        b"cache-control: no-store",
        b"content-type: text/plain; charset=utf-8",
        b"ping-body-limit: 1048576",
        b"access-control-allow-origin: *",
        b"connection: close",
    ]


def test_query_of_many_fields_means_the_same_in_the_lane(server: uvicorn.Server, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        heartbeat(config=HeartbeatConfig(address="Kx0y8KumaToken"))
    heads = []

    for fields in (30, 1_000):
        for last in ("make", "m~%20ke", "m(ke"):  # what the lane knows at first sight, and what it parses
            with Line(server) as line:
                query = f"status=down&msg=log{'&make' * fields}&{last}"
                line.say(f"GET /api/push/Kx0y8KumaToken?{query} HTTP/1.1\nHost: a\nConnection: close\n\n")
                heads.append(line.hear()[9:12])

    assert heads == [b"200"] * 3 + [b"400"] * 3
    with tenant_scope(acme.id):
        assert list(Ping.objects.values_list("signal", flat=True)) == ["fail"] * 3


def test_pings_and_pages_share_a_connection(server: uvicorn.Server, check: Check) -> None:
    ping, page = f"GET /ping/{token_of(check)} HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\nHost: a\n\n"
    answers = []

    with Line(server) as line:
        for text, end in ((ping, b"\r\n\r\nOK"), (ping, b"\r\n\r\nOK"), (page, b"behind"), (ping, b"\r\n\r\nOK")):
            line.say(text)
            answers.append(line.hear(end)[9:12])  # from the page on, the door answers behind the web server

    assert answers == [b"200", b"200", b"299", b"200"]
    assert Ping.objects.count() == 3


def test_requests_sent_without_waiting_are_answered_in_their_order(server: uvicorn.Server, check: Check) -> None:
    with Line(server) as line:
        line.say(f"GET /ping/{token_of(check)} HTTP/1.1\nHost: a\n\n")
        time.sleep(0.003)  # the first is on its way to the database
        line.say(f"GET / HTTP/1.1\nHost: a\n\nGET /ping/{token_of(check)}/7 HTTP/1.1\nHost: a\nConnection: close\n\n")
        heard = line.hear()

    assert heard.index(b"behind") > heard.index(b"\r\n\r\nOK")
    assert heard.count(b"HTTP/1.1") == 3
    assert sorted(Ping.objects.values_list("signal", flat=True)) == ["fail", "success"]


def test_request_in_pieces_loses_nothing(server: uvicorn.Server, check: Check) -> None:
    with Line(server) as line:
        for piece in ("PO", "ST /pi", f"ng/{token_of(check)} HTTP/1.1\nHo", "st: a\nContent-Length: 4\n\nda", "ta"):
            line.say(piece)
            time.sleep(0.02)
        assert b" 200 OK" in line.hear(b"\r\n\r\nOK")

    assert bytes(Ping.objects.get().body or b"") == b"data"


def test_sender_who_only_listens_still_hears(server: uvicorn.Server, check: Check) -> None:
    with Line(server) as line:
        line.say(f"GET /ping/{token_of(check)} HTTP/1.1\nHost: a\n\n")
        line.socket.shutdown(socket.SHUT_WR)

        assert b" 200 OK" in line.hear(b"\r\n\r\nOK")


def test_sender_behind_a_trusted_proxy_is_the_one_it_names(server: uvicorn.Server, check: Check) -> None:
    fields = ("203.0.113.9", "evil, 203.0.113.9", "not an address")
    for forwarded in fields:
        with Line(server) as line:
            line.say(f"GET /ping/{token_of(check)} HTTP/1.1\nX-Forwarded-For: {forwarded}\nConnection: close\n\n")
            line.hear()

    assert [ping.source_ip for ping in Ping.objects.order_by("number")] == ["203.0.113.9", "203.0.113.9", None]


def test_server_that_stops_answers_first(server: uvicorn.Server, check: Check) -> None:
    with Line(server) as idle, Line(server) as line:
        with transaction.atomic():
            Heartbeat.objects.select_for_update().get(watched=check)
            line.say(f"GET /ping/{token_of(check)} HTTP/1.1\nHost: a\n\n")
            until_somebody_waits()
            server.should_exit = True

        assert b" 200 OK" in line.hear()
        assert idle.hear() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"G",
        b"GET /",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nHost: a\r\n",
        b"GET /ping/%41 HTTP/1.1\r\n\r\n",
        b"GET /ping/\xc3\xbc HTTP/1.1\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\n\r\nGET /ping/x HTTP/1.1\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\n\r\nG",
        b"POST /ping/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
        b"POST /ping/x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /ping/x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"GET /ping/x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /ping/x\r\n\r\n",
        b"GET http://a/ping/x HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_whole_plain_ping_is_not_the_lanes(data: bytes) -> None:
    assert look_at(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET /ping/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /ping/x/start?rid=1&a=%20 HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8 \xe9\r\nConnection: Close\r\n\r\n",
        b"GET /api/push/x?status=up&msg=all+well HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\n\r\n",
        b"GET /ping/x? HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    ],
)
def test_request_with_known_fields_reads_as_the_parser_reads_it(data: bytes) -> None:
    first, again = met_before(data), met_before(data)

    assert first == again == parsed(data) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"GET /ping/x HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET /ping/x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping/%41 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping/x?a=\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  /ping/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping/x HTTP/1.1\nHost: a\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nHost: a\r\n\r\nG",
        b"GET /ping/x HTTP/1.1\r\nHost: a\r\n\r\nGET /ping/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nHost a\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nX: " + b"x" * 512 + b"\r\n\r\n",
        b"GET /ping/x HTTP/1.1\r\nAUTHORIZATION: Basic c2VjcmV0\r\n\r\n",
        b"POST /ping/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_all_else_is_left_to_the_parser(data: bytes) -> None:
    assert met_before(data) is None


def test_address_of_a_sender() -> None:
    assert [ip_of(host) for host in ("::1", "fe80::1%eth0", "unix", "")] == ["::1", "fe80::1", None, None]
