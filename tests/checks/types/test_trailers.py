"""Trailers, which come after a chunked body, say nothing of the answer (RFC 9110 §6.5.1): whoever wrote them, and whatever."""

import socket
from typing import Any

import pytest

from apps.checks.enums import Verdict
from tests.checks.engine.probing import probe
from tests.checks.types.asking import ask
from tests.peers.web import saying, serving

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Build: 12\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n"
TRAILERS = (
    b"2\r\nok\r\n0\r\nX-Status: UP\r\nX-Build: 13\r\nContent-Encoding: gzip\r\nSet-Cookie: late=1\r\n"
    b"Location: /nowhere\r\n\r\n"
)
SENT = EARLY + HEAD + b"\r\n" + TRAILERS


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"conditions": ["[HEADER].X-Status == UP"]}, "condition_failed"),
        ({"conditions": ["[HEADER].X-Build == 12", "[BODY] == ok"]}, ""),
        ({"header_rules": ["X-Status: exists"]}, "header_mismatch"),
        ({"header_rules": ["X-Build: == 12", "X-Early: absent", "Content-Encoding: absent"]}, ""),
    ],
)
async def test_trailer_is_no_header(settings: dict[str, Any], code: str) -> None:
    with serving(saying(SENT)) as web:
        outcome = await probe(web.url(), **settings)

    assert outcome.error_code == code


@pytest.mark.parametrize("by_curl", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])
async def test_trailer_packs_no_body_and_leads_nowhere(by_curl: dict[str, Any]) -> None:
    with serving(saying(SENT)) as web:
        outcome = await probe(web.url(), keyword="ok", **by_curl)

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 200)


async def test_trailer_sets_no_cookie() -> None:
    def leading(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /start "):
            found = HEAD.replace(b"200 OK", b"302 Found") + b"Location: /there\r\nSet-Cookie: first=1\r\n\r\n"
            connection.sendall(found + TRAILERS)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(leading) as web:
        await probe(web.url("/start"), keeps_cookies=True)

    assert [line for line in web.asked[1].split(b"\r\n") if line.startswith(b"Cookie")] == [b"Cookie: first=1"]


async def test_trailer_does_not_drift() -> None:
    with serving(saying(SENT)) as web:
        outcome = await ask("drift", url=web.url(), baseline="", watched_headers=["X-Build", "X-Status"])

    assert outcome.error_code == "drift_no_baseline"
    assert outcome.details["observed"]["headers"] == {"x-build": "12"}
