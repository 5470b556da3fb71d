"""Checks that go by a proxy: it is judged like a target, and its faults are told from the target's."""

import socket
from typing import Any

import pytest

from apps.checks.enums import Verdict
from tests.checks.engine.probing import job, probe, probe_all
from tests.peers.proxies import proxying
from tests.peers.web import answer, saying, serving


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_looks_the_name_up_and_reaches_the_target(scheme: str) -> None:
    with serving(saying(answer())) as web, proxying(scheme, names={"inner.example": "127.0.0.1"}) as proxy:
        outcome = await probe(web.url("/path", host="inner.example"), proxy=proxy.url, header_rules=["X-Proxy: absent"])

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert proxy.asked == [("inner.example", web.port)]
    assert web.asked[0].startswith(b"GET /path HTTP/1.1\r\n")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize(("password", "works"), [("right", True), ("wrong", False)])
async def test_proxy_wants_a_password(scheme: str, password: str, works: bool) -> None:
    with serving(saying(answer())) as web, proxying(scheme, username="me", password="right") as proxy:
        outcome = await probe(web.url(), proxy=proxy.url, proxy_username="me", proxy_password=password)

    code = "" if works else "proxy_refused" if scheme == "http" else "proxy_failed"
    assert outcome.error_code == code
    assert not any(b"Proxy" in request for request in web.asked)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_that_is_not_there_is_named(scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = await probe("http://example.com/", proxy=f"{scheme}://127.0.0.1:{free.getsockname()[1]}")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "proxy_failed")
    assert outcome.error_values["proxy"] == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
async def test_proxy_in_a_private_network_is_refused(host: str) -> None:
    with proxying("http") as proxy:
        outcome = await probe("http://example.com/", allow_private=False, proxy=f"http://{host}:{proxy.port}")

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")
    assert proxy.asked == []


async def test_target_written_as_a_forbidden_address_is_refused_before_the_proxy_is_asked() -> None:
    with proxying("http") as proxy:
        outcome = await probe("http://169.254.169.254/", proxy=proxy.url)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "metadata")
    assert proxy.asked == []


async def test_redirect_goes_by_the_proxy_too_and_is_judged() -> None:
    with serving(saying(answer(302, b"", Location="http://[fd00:ec2::254]/"))) as web, proxying("http") as proxy:
        outcome = await probe(web.url(), proxy=proxy.url)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "metadata")
    assert len(proxy.asked) == 1


async def test_proxy_of_one_check_is_not_used_by_the_next() -> None:
    with serving(saying(answer())) as web, proxying("http") as proxy:
        settings: list[dict[str, Any]] = [{"proxy": proxy.url}, {}, {}]
        jobs = [job(number, web.url(), **setting) for number, setting in enumerate(settings)]
        outcomes = await probe_all(jobs, max_in_flight=1)

    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SUCCESS}
    assert len(proxy.asked) == 1


async def test_cookie_that_the_proxy_sets_does_not_go_to_the_target() -> None:
    def redirecting(connection: socket.socket, request: bytes) -> None:
        is_there = request.startswith(b"GET /there ")
        connection.sendall(answer() if is_there else answer(302, b"", Location="/there", Set_Cookie="of=target"))

    with serving(redirecting) as web, proxying("http") as proxy:
        outcome = await probe(web.url(), proxy=proxy.url, keeps_cookies=True)

    assert outcome.verdict == Verdict.SUCCESS
    assert b"\r\nCookie: of=target\r\n" in web.asked[1]


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxys_user_may_have_letters_beyond_ascii(scheme: str) -> None:
    with serving(saying(answer())) as web, proxying(scheme, username="jürgen", password="gehäuse") as proxy:
        outcome = await probe(web.url(), proxy=proxy.url, proxy_username="jürgen", proxy_password="gehäuse")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
