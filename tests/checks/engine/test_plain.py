"""The plain driver judges as libcurl does, and leaves to libcurl what it does not understand."""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from tests.checks.engine.probing import probe
from tests.peers.web import answer, saying, serving

TIMES = ("dns_ms", "connect_ms", "first_byte_ms", "transfer_ms", "total_ms")
Behaviour = Callable[[socket.socket, bytes], None]


def in_pieces(*pieces: bytes) -> Behaviour:
    def send(connection: socket.socket, _request: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)

    return send


def reset(connection: socket.socket, _request: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


BEHAVIOURS = {
    "simple": saying(answer(200, b"all is well")),
    "empty": saying(answer(200, b"")),
    "no content": in_pieces(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": in_pieces(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    "chunked": in_pieces(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nall\r\n", b"0\r\n\r\n"),
    "until the end": in_pieces(b"HTTP/1.0 200 OK\r\n\r\n", b"some", b"more"),
    "early hints": in_pieces(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
    "byte by byte": in_pieces(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    "more than said": in_pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok"),
    "a second answer": in_pieces(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 X\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"
    ),
    "a second answer that leads elsewhere": in_pieces(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
    ),
    "trailers": in_pieces(
        b"HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"2\r\nok\r\n0\r\nLocation: ftp://two.example/\r\n\r\n",
    ),
    "less than said": in_pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
    "chunk cut off": in_pieces(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nal"),
    "nothing": in_pieces(),
    "reset": reset,
    "garbage": in_pieces(b"\x15\x03\x01\x00\x02\x02P"),
    "other protocol": in_pieces(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "bare line ends": in_pieces(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    "folded header": in_pieces(b"HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
    "length twice": in_pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    "length and chunks": in_pieces(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "strange status": in_pieces(b"HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n"),
    "high bytes": in_pieces(b"HTTP/1.1 200 \xe9\xff\r\nX-Name: \xfc\xff\r\nContent-Length: 2\r\n\r\n\xff\xfe"),
    "nul in a header": in_pieces(b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n"),
    "redirect to nowhere": in_pieces(
        b"HTTP/1.1 302 Found\r\nLocation: ftp://example.com/\r\nContent-Length: 0\r\n\r\n"
    ),
    "redirect without target": in_pieces(b"HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n"),
    "server error": saying(answer(503, b"sorry")),
    "too large": saying(answer(200, b"x" * 1_100_000)),
}


def judged(outcome: Outcome) -> Outcome:
    """Return an outcome without its times and the library's own words."""
    values = {name: value for name, value in outcome.error_values.items() if name != "detail"}
    return replace(outcome, error_values=values, **dict.fromkeys(TIMES))


@pytest.mark.parametrize("name", BEHAVIOURS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_answer_is_judged_as_libcurl_judges_it(name: str, method: str) -> None:
    with serving(BEHAVIOURS[name]) as web:
        plain = await probe(web.url(), method=method)
        by_curl = await probe(web.url(), method=method, keeps_cookies=True)

    assert judged(plain) == judged(by_curl)


@pytest.mark.parametrize(
    "location",
    [b"/there", b"there", b"//127.0.0.1:%d/there", b"?q=1", b"http://127.0.0.1:%d/a/../there#part", b"\xfcber"],
)
async def test_redirect_leads_where_libcurl_says(location: bytes) -> None:
    asked: list[bytes] = []

    def redirecting(connection: socket.socket, request: bytes) -> None:
        line = request.split(b"\r\n", 1)[0]
        if line.startswith(b"GET /begin/here "):
            target = location.replace(b"%d", b"%d" % connection.getsockname()[1])
            connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + target + b"\r\n\r\n")
        else:
            asked.append(line)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(redirecting) as web:
        plain = await probe(web.url("/begin/here"))
        by_curl = await probe(web.url("/begin/here"), keeps_cookies=True)

    assert judged(plain) == judged(by_curl)
    assert len(asked) == 2
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"headers": {"Accept": "text/plain", "X-Empty": "", "User-Agent": "me"}},
        {"headers": {"Host": "other.example"}},
        {"auth": "basic", "username": "u", "password": "p"},
    ],
)
async def test_request_is_the_one_libcurl_sends(settings: dict[str, Any]) -> None:
    asked: list[bytes] = []

    def listening(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(listening) as web:
        await probe(web.url("/path?query=1"), **settings)
        await probe(web.url("/path?query=1"), keeps_cookies=True, **settings)

    assert sorted(asked[0].split(b"\r\n")) == sorted(asked[1].split(b"\r\n"))


@pytest.mark.parametrize("settings", [{}, {"keeps_cookies": True}, {"method": "HEAD"}, {"certificate_days": 1}])
@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 204 None\r\nX-A: b\r\n"])
async def test_answer_that_ends_within_its_headers_is_none(sent: bytes, settings: dict[str, Any]) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if "certificate_days" in settings else None
    if tls is not None:
        trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with serving(in_pieces(sent), tls=tls) as web:
        outcome = await probe(web.url(), verify_tls=False, **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "connection_lost")


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: yes\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
)
@pytest.mark.parametrize("settings", [{}, {"keeps_cookies": True}])
async def test_answer_without_a_body_is_whole(sent: bytes, settings: dict[str, Any]) -> None:
    with serving(in_pieces(sent)) as web:
        outcome = await probe(web.url(), **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")


@pytest.mark.parametrize(
    ("beside", "settings"),
    [
        (b"0\r\nX-Trailer: ", {}),
        (b"0\r\nX-Trailer: ", {"keeps_cookies": True}),
        (b"0\r\n", {}),
        (b"0\r\n", {"keeps_cookies": True}),
        (b"1;extension=", {}),  # which libcurl passes over until the time is up, and keeps none of
    ],
)
async def test_what_stands_beside_the_body_ends_too(beside: bytes, settings: dict[str, Any]) -> None:
    """Trailers and extensions of chunks are no body, so that its limit does not hold for them."""
    sent = 0

    def endless(connection: socket.socket, _request: bytes) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + beside)
        part = b"X-A: b\r\n" * 8_000 if beside.endswith(b"0\r\n") else b"x" * 64_000
        while sent < 64_000_000:
            connection.sendall(part)
            sent += len(part)

    with serving(endless) as web:
        outcome = await probe(web.url(), timeout=20, **settings)

    assert outcome.verdict == Verdict.FAILURE
    assert sent < 64_000_000


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_method_that_wants_a_body_says_that_there_is_none(method: str) -> None:
    with serving(saying(answer())) as web:
        outcome = await probe(web.url(), method=method)
        await probe(web.url(), method=method, headers={"Content-Type": "text/x"})

    assert outcome.verdict == Verdict.SUCCESS
    assert b"\r\nContent-Length: 0\r\n" in web.asked[0]
    assert b"content-type" not in web.asked[0].lower()
    assert b"\r\nContent-Type: text/x\r\n" in web.asked[1]


async def test_answer_beyond_our_parser_is_asked_for_again_by_libcurl() -> None:
    hits: list[bytes] = []

    def counting(connection: socket.socket, request: bytes) -> None:
        hits.append(request)
        in_pieces(b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n")(connection, request)

    with serving(counting) as web:
        outcome = await probe(web.url())

    assert len(hits) == 2
    assert outcome.verdict == Verdict.FAILURE
