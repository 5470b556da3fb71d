"""Following redirects: where to, how often, and with what."""

import socket

import pytest

from apps.checks.enums import Verdict
from tests.checks.engine.probing import probe
from tests.peers.web import answer, saying, serving


def _first_line(request: bytes) -> bytes:
    return request.split(b"\r\n", 1)[0]


async def test_redirect_is_followed_and_phases_are_summed() -> None:
    def lead(connection: socket.socket, request: bytes) -> None:
        if b"GET /old" in request:
            connection.sendall(answer(301, b"moved", Location="/new"))
        else:
            connection.sendall(answer(200, b"arrived"))

    with serving(lead) as web:
        outcome = await probe(web.url("/old"), keyword="arrived")

    assert (outcome.verdict, outcome.status_code, outcome.redirects) == (Verdict.SUCCESS, 200, 1)
    assert outcome.body_bytes == 7
    assert web.connections == 2


async def test_redirect_is_the_answer_where_following_is_off() -> None:
    with serving(saying(answer(302, b"", Location="/new"))) as web:
        outcome = await probe(web.url(), follow_redirects=False, expected_status="302")

    assert (outcome.verdict, outcome.status_code, outcome.redirects) == (Verdict.SUCCESS, 302, 0)


async def test_redirect_without_a_place_is_an_answer() -> None:
    with serving(saying(answer(302, b""))) as web:
        outcome = await probe(web.url())

    assert (outcome.error_code, outcome.status_code) == ("status_mismatch", 302)


async def test_redirect_loop_ends() -> None:
    with serving(saying(answer(302, b"", Location="/again"))) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (
        Verdict.FAILURE,
        "too_many_redirects",
        {"count": 10},
    )
    assert web.connections == 11


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
    ],
)
async def test_redirect_to_metadata_is_refused_even_where_inner_networks_are_allowed(place: str) -> None:
    with serving(saying(answer(302, b"", Location=place))) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "address_forbidden")
    assert outcome.error_values["reason"] == "metadata"


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:0/"])
async def test_redirect_to_no_web_address_fails(place: str) -> None:
    with serving(saying(answer(302, b"", Location=place))) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "bad_redirect")


async def test_credentials_of_a_redirect_are_not_sent() -> None:
    with serving(saying(answer(200))) as elsewhere:
        place = elsewhere.url().replace("://", "://user:pass@")
        with serving(saying(answer(302, b"", Location=place))) as web:
            outcome = await probe(web.url())

    assert outcome.error_code in ("", "bad_redirect")  # libcurl may have taken them off already
    assert not any(b"uthorization" in request for request in elsewhere.asked)


async def test_secret_headers_stay_with_their_host() -> None:
    with (
        serving(saying(answer(200))) as elsewhere,
        serving(saying(answer(307, b"", Location=elsewhere.url("/there")))) as web,
    ):
        outcome = await probe(web.url(), headers={"X-Token": "secret", "Authorization": "Bearer secret"})

    assert outcome.verdict == Verdict.SUCCESS
    assert b"secret" in web.asked[0]
    assert b"secret" not in elsewhere.asked[0]


async def test_headers_go_along_on_the_same_host() -> None:
    def lead(connection: socket.socket, request: bytes) -> None:
        connection.sendall(answer(302, b"", Location="/new") if b"GET /old" in request else answer(200))

    with serving(lead) as web:
        await probe(web.url("/old"), headers={"X-Token": "secret"})

    assert all(b"X-Token: secret" in request for request in web.asked)


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, b"GET", b""), (303, b"GET", b""), (307, b"POST", b"data"), (308, b"POST", b"data")],
)
async def test_method_after_a_redirect(status: int, method: bytes, body: bytes) -> None:
    def lead(connection: socket.socket, request: bytes) -> None:
        connection.sendall(answer(status, b"", Location="/new") if b" /old " in request else answer(200))

    with serving(lead) as web:
        outcome = await probe(web.url("/old"), method="POST", body="data")

    assert outcome.verdict == Verdict.SUCCESS
    assert _first_line(web.asked[1]) == method + b" /new HTTP/1.1"
    assert web.asked[1].partition(b"\r\n\r\n")[2] == body


async def test_time_is_for_all_steps_together() -> None:
    def lead_on(connection: socket.socket, _request: bytes) -> None:
        web.stopped.wait(0.5)
        connection.sendall(answer(302, b"", Location="/again"))

    with serving(lead_on) as web:
        outcome = await probe(web.url(), timeout=3)  # eleven steps would take longer

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "timeout")


async def test_redirect_with_raw_letters_is_followed() -> None:
    def lead(connection: socket.socket, request: bytes) -> None:
        place = "/ziel/für".encode()
        if request.startswith(b"GET /old"):
            connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n")
        else:
            connection.sendall(answer())

    with serving(lead) as web:
        outcome = await probe(web.url("/old"))

    assert outcome.verdict == Verdict.SUCCESS
    assert _first_line(web.asked[1]) == b"GET /ziel/f%C3%BCr HTTP/1.1"
