"""The synchronous client against real servers on loopback."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.core.http.client import OutboundError, request
from apps.core.http.curl import Transfer
from tests.peers.web import answer, saying, serving


def test_answer_of_any_status_is_returned() -> None:
    with serving(saying(answer(410, b"gone", Retry_After="7", X_Twice="a", x_twice="b"))) as web:
        response = request("GET", web.url(), allow_private=True)

    assert (response.status, response.body, response.is_truncated) == (410, b"gone", False)
    assert response.headers["retry-after"] == "7"
    assert response.headers["x-twice"] == "a, b"
    assert response.elapsed_seconds > 0


def test_trailers_are_no_headers() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Build: 12\r\n\r\n"
    with serving(saying(head + b"2\r\nok\r\n0\r\nX-Build: 13\r\nRetry-After: 9\r\n\r\n")) as web:
        response = request("GET", web.url(), allow_private=True)

    assert (response.body, response.headers) == (b"ok", {"transfer-encoding": "chunked", "x-build": "12"})


def test_request_carries_method_headers_and_body() -> None:
    with serving(saying(answer())) as web:
        request(
            "POST",
            web.url("/hook?a=b"),
            headers={"Content-Type": "application/json", "X-Empty": ""},
            body=b"{}",
            allow_private=True,
        )

    head, _blank, body = web.asked[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /hook?a=b HTTP/1.1"
    assert body == b"{}"
    assert b"Content-Type: application/json" in lines
    assert b"X-Empty:" in lines
    assert not any(line.lower().startswith(b"expect") for line in lines)


def test_nothing_is_left_over_from_the_request_before() -> None:
    with serving(saying(answer())) as web:
        request("POST", web.url(), headers={"X-Secret": "s"}, body=b"secret", allow_private=True)
        request("GET", web.url(), allow_private=True)

    assert web.asked[1].startswith(b"GET / HTTP/1.1\r\n")
    assert b"ecret" not in web.asked[1]


def test_nothing_is_left_over_from_a_request_that_was_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a task's time limit does, whose signal may come between libcurl's end and ours."""

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with serving(saying(answer(200, b"own"))) as web:
        with monkeypatch.context() as patched:
            patched.setattr(Transfer, "finish", interrupted)
            with pytest.raises(KeyboardInterrupt):
                request("GET", web.url(), allow_private=True)
        after = request("GET", web.url(), allow_private=True)

    assert after.body == b"own"


def test_each_request_opens_a_connection_that_the_guard_sees() -> None:
    with serving(saying(answer())) as web:
        request("GET", web.url(), allow_private=True)
        with pytest.raises(OutboundError) as caught:
            request("GET", web.url(), allow_private=False)

    assert (caught.value.code, caught.value.permanent) == ("address_forbidden", True)
    assert "loopback" in str(caught.value)
    assert web.connections == 1


def test_name_of_a_forbidden_address_is_refused_at_connect_time() -> None:
    with serving(saying(answer())) as web:
        assert request("GET", web.url(host="localhost"), allow_private=True).status == 200
        with pytest.raises(OutboundError) as caught:
            request("GET", web.url(host="localhost"), allow_private=False)

    assert caught.value.code == "address_forbidden"
    assert web.connections == 1


def test_redirect_is_returned_and_not_followed() -> None:
    with serving(saying(answer(302, b"", Location="http://169.254.169.254/"))) as web:
        response = request("GET", web.url(), allow_private=True)

    assert (response.status, response.headers["location"]) == (302, "http://169.254.169.254/")


def test_body_is_cut_at_its_limit() -> None:
    with serving(saying(answer(200, b"x" * 5_000))) as web:
        response = request("GET", web.url(), allow_private=True, max_bytes=1_000)

    assert (len(response.body), response.is_truncated) == (1_000, True)


def test_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(saying(answer(200, b"direct"))) as web, serving(saying(answer(200, b"proxy"))) as proxy:
        for name in ("http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        response = request("GET", web.url(), allow_private=True)

    assert response.body == b"direct"
    assert proxy.connections == 0


def test_cookies_are_not_kept() -> None:
    with serving(saying(answer(200, b"", Set_Cookie="a=b; Path=/"))) as web:
        request("GET", web.url(), allow_private=True)
        request("GET", web.url(), allow_private=True)

    assert b"ookie" not in web.asked[1]


def test_slow_server_ends_with_the_timeout() -> None:
    over = threading.Event()
    with serving(lambda _connection, _request: over.wait(60) and None) as web:
        began = time.monotonic()
        with pytest.raises(OutboundError) as caught:
            request("GET", web.url(), allow_private=True, timeout=2)
        took = time.monotonic() - began
        over.set()

    assert (caught.value.code, caught.value.permanent) == ("timeout", False)
    assert took < 30


def test_refused_connection_is_worth_another_try() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(OutboundError) as caught:
            request("GET", url, allow_private=True)

    assert (caught.value.code, caught.value.permanent) == ("connect_refused", False)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://example.com/", {}),
        ("http://u:p@example.com/", {}),
        ("https://example.com/", {"Bad Name": "x"}),
        ("https://example.com/", {"X-A": "b\r\nX-C: d"}),
        ("https://example.com/", {"Transfer-Encoding": "chunked"}),
    ],
)
def test_wrong_request_fails_for_good_without_a_connection(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(OutboundError) as caught:
        request("GET", url, headers=headers)

    assert (caught.value.code, caught.value.permanent) == ("bad_url", True)


def test_threads_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(8, timeout=60)

    def meet(connection: socket.socket, _request: bytes) -> None:
        together.wait()
        connection.sendall(answer())

    with serving(meet) as web, ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda _n: request("GET", web.url(), allow_private=True, timeout=60).status, range(8))
        )

    assert statuses == [200] * 8
