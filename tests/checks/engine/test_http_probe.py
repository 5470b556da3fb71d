"""HTTP probes of servers that answer, well or badly."""

import socket
import time
import zlib

import pytest

from apps.checks.enums import Verdict
from apps.core.http.curl import MEBIBYTE, Reply, Transfer
from tests.checks.engine.probing import job, probe, probe_all
from tests.peers.web import Web, answer, read_request, saying, serving


async def test_success_has_its_phases() -> None:
    with serving(saying(answer(200, b"all is well"))) as web:
        outcome = await probe(web.url(host="localhost"))

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 200)
    assert (outcome.body_bytes, outcome.is_truncated, outcome.http_version, outcome.redirects) == (11, False, "1.1", 0)
    assert outcome.remote_ip == "127.0.0.1"
    assert (outcome.tls_ms, outcome.cert_expires_at) == (None, None)
    phases = [outcome.dns_ms, outcome.connect_ms, outcome.first_byte_ms, outcome.transfer_ms]
    assert all(phase is not None and phase >= 0 for phase in phases)
    assert outcome.total_ms is not None
    assert sum(phase or 0 for phase in phases) <= outcome.total_ms + 0.05


async def test_phases_show_where_the_time_went() -> None:
    def slowly(connection: socket.socket, _request: bytes) -> None:
        time.sleep(0.15)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        time.sleep(1)  # long, or a client that stands still for a moment sees both at once
        connection.sendall(b"ok")

    with serving(slowly) as web:
        outcome = await probe(web.url())

    assert outcome.dns_ms is None
    assert outcome.connect_ms is not None
    assert outcome.first_byte_ms is not None
    assert outcome.transfer_ms is not None
    assert outcome.total_ms is not None
    assert outcome.first_byte_ms >= 140
    assert outcome.transfer_ms >= 240
    assert outcome.connect_ms <= outcome.total_ms - outcome.first_byte_ms - outcome.transfer_ms + 0.05


@pytest.mark.parametrize(
    ("status", "expected", "verdict", "code"),
    [
        (200, "200-299", Verdict.SUCCESS, ""),
        (204, "2xx", Verdict.SUCCESS, ""),
        (404, "200-299, 404", Verdict.SUCCESS, ""),
        (500, "200-299", Verdict.FAILURE, "status_mismatch"),
        (200, "301", Verdict.FAILURE, "status_mismatch"),
    ],
)
async def test_status_is_judged(status: int, expected: str, verdict: Verdict, code: str) -> None:
    with serving(saying(answer(status, b""))) as web:
        outcome = await probe(web.url(), expected_status=expected)

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (verdict, code, status)


async def test_mismatch_says_what_came_and_what_was_expected() -> None:
    with serving(saying(answer(503))) as web:
        outcome = await probe(web.url())

    assert outcome.error_values == {"status": 503, "expected": "200-299"}


@pytest.mark.parametrize(
    ("body", "content_type", "keyword", "is_absent", "code"),
    [
        (b"all is well", "text/html", "is well", False, ""),
        (b"all is well", "text/html", "IS WELL", False, "keyword_missing"),
        (b"all is well", "text/html", "fatal", True, ""),
        (b"fatal error", "text/html", "fatal", True, "keyword_present"),
        ("schöne Grüße".encode(), "text/html", "Grüße", False, ""),
        ("schöne Grüße".encode("latin-1"), "text/html; charset=ISO-8859-1", "Grüße", False, ""),
        ("schöne Grüße".encode("latin-1"), "text/html; charset=nonsense", "Grüße", False, "keyword_missing"),
    ],
)
async def test_keyword_is_looked_for(body: bytes, content_type: str, keyword: str, is_absent: bool, code: str) -> None:
    with serving(saying(answer(200, body, Content_Type=content_type))) as web:
        outcome = await probe(web.url(), keyword=keyword, keyword_absent=is_absent)

    assert outcome.error_code == code


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_method_headers_and_body_are_sent(method: str) -> None:
    body = "" if method in ("GET", "HEAD") else '{"a": 1}'
    with serving(saying(answer(200, b""))) as web:
        outcome = await probe(web.url("/path?a=b"), method=method, headers={"X-Token": "secret"}, body=body)

    head, _blank, sent = web.asked[0].partition(b"\r\n\r\n")
    assert outcome.verdict == Verdict.SUCCESS
    assert head.startswith(f"{method} /path?a=b HTTP/1.1\r\n".encode())
    assert b"X-Token: secret" in head.split(b"\r\n")
    assert (b"Content-Type: application/json" in head.split(b"\r\n")) is bool(body)
    assert sent == body.encode()


async def test_reused_handle_keeps_nothing_of_another_check() -> None:
    with serving(saying(answer())) as web:
        jobs = [
            job("one", web.url("/one"), method="POST", headers={"X-Token": "secret"}, body="private"),
            job("two", web.url("/two", host="localhost")),
            job("three", web.url("/three"), method="HEAD"),
            job("four", web.url("/four"), method="DELETE"),
            job("five", web.url("/five")),
        ]
        outcomes = await probe_all(jobs, max_in_flight=1)

    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SUCCESS}
    assert [request.split(b" ")[0] for request in web.asked] == [b"POST", b"GET", b"HEAD", b"DELETE", b"GET"]
    assert not any(b"secret" in request or b"private" in request for request in web.asked[1:])
    assert web.connections == 5


async def test_endless_body_is_read_to_its_limit_only() -> None:
    def endless(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nthe keyword")
        while True:
            connection.sendall(b"x" * 65_536)

    with serving(endless) as web:
        outcome = await probe(web.url(), keyword="keyword")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert (outcome.body_bytes, outcome.is_truncated) == (MEBIBYTE, True)


async def test_keyword_beyond_the_limit_is_not_seen() -> None:
    with serving(saying(answer(200, b"x" * MEBIBYTE + b"keyword"))) as web:
        outcome = await probe(web.url(), keyword="keyword")

    assert (outcome.error_code, outcome.is_truncated) == ("keyword_missing", True)


async def test_bytes_that_are_no_text_are_taken() -> None:
    head = b"HTTP/1.1 200 \xff\xfe\r\nContent-Type: \xff\xfe\r\nX: \xc3\r\nContent-Length: 2\r\n\r\n\xff\x00"
    with serving(saying(head)) as web:
        outcome = await probe(web.url(), keyword="ü")

    assert (outcome.error_code, outcome.status_code, outcome.body_bytes) == ("keyword_missing", 200, 2)


async def test_name_with_a_final_dot_is_probed() -> None:
    with serving(saying(answer())) as web:
        outcome = await probe(web.url(host="dotted.example."), lookup=lambda _host: ("127.0.0.1",))

    assert (outcome.error_code, outcome.verdict) == ("", Verdict.SUCCESS)


async def test_answer_that_cannot_be_read_costs_its_own_probe_only(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Transfer.finish

    def unreadable(transfer: Transfer, number: int = 0, message: str = "") -> Reply:
        reply = finish(transfer, number, message)
        if reply.status == 418:
            raise UnicodeError("unreadable")
        return reply

    monkeypatch.setattr(Transfer, "finish", unreadable)
    with serving(saying(answer(418))) as bad, serving(saying(answer())) as good:
        jobs = [job(("bad", number), bad.url(), method="OPTIONS") for number in range(5)] + [
            job(("good", number), good.url(), method="OPTIONS") for number in range(5)
        ]
        outcomes = await probe_all(jobs)

    assert {outcomes["bad", number].error_code for number in range(5)} == {"own_fault"}
    assert {outcomes["good", number].verdict for number in range(5)} == {Verdict.SUCCESS}


async def test_bomb_stays_small() -> None:
    squeezed = zlib.compressobj(wbits=31)
    bomb = squeezed.compress(b"\0" * 100_000_000) + squeezed.flush()
    with serving(saying(answer(200, bomb, Content_Encoding="gzip"))) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.body_bytes) == (Verdict.SUCCESS, len(bomb))


async def test_chunked_answer_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n"
    with serving(saying(chunked)) as web:
        outcome = await probe(web.url(), keyword="all is well")

    assert (outcome.verdict, outcome.body_bytes) == (Verdict.SUCCESS, 11)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_response"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "bad_response"),
        (b"\x00\xff\xfe\x01" * 64, "bad_response"),
        (b"HTTP/1.1 xx OK\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", "connection_lost"),
    ],
)
async def test_garbage_is_named(data: bytes, code: str) -> None:
    with serving(saying(data)) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


@pytest.mark.parametrize(
    "flood",
    [b"X-Long: " + b"x" * 400_000, b"\r\n".join(b"X-%d: y" % number for number in range(20_000))],
    ids=["large", "many"],
)
async def test_header_flood_is_stopped(flood: bytes) -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n" + flood + b"\r\n\r\nok")) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "header_flood")


async def test_flood_of_interim_answers_ends() -> None:
    def interim(connection: socket.socket, _request: bytes) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)

    with serving(interim) as web:
        outcome = await probe(web.url())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "header_flood")


async def test_server_that_never_answers_times_out() -> None:
    waiting: list[Web] = []
    with serving(lambda _connection, _request: waiting[0].stopped.wait(60) and None) as web:
        waiting.append(web)
        outcome = await probe(web.url(), timeout=2)

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.FAILURE, "timeout", None)
    assert outcome.connect_ms is not None
    assert outcome.first_byte_ms is None
    assert outcome.total_ms is not None
    assert outcome.total_ms >= 1_990


async def test_slow_loris_times_out_in_the_transfer() -> None:
    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    with serving(drip) as web:
        outcome = await probe(web.url(), timeout=2)

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.FAILURE, "transfer_timeout", 200)


async def test_slow_headers_time_out() -> None:
    def drip(connection: socket.socket, _request: bytes) -> None:
        for number in range(1_000):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" if number == 0 else b"X-%d: y\r\n" % number)
            time.sleep(0.02)

    with serving(drip) as web:
        outcome = await probe(web.url(), timeout=2)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "transfer_timeout")


async def test_refused_connection_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = await probe(f"http://127.0.0.1:{free.getsockname()[1]}/")

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.FAILURE, "connect_refused", None)
    assert outcome.first_byte_ms is None


async def test_full_backlog_times_out_connecting() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        outcome = await probe(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.5)

    assert outcome.error_code in ("connect_timeout", "timeout")  # some kernels let one more into the queue


async def test_ipv6_target_is_probed() -> None:
    with serving(saying(answer()), family=socket.AF_INET6) as web:
        outcome = await probe(web.url(host="[::1]"))

    assert (outcome.verdict, outcome.remote_ip) == (Verdict.SUCCESS, "::1")


async def test_reset_in_the_middle_is_named() -> None:
    def reset(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    with serving(reset) as web:
        outcome = await probe(web.url())

    assert outcome.error_code == "connection_lost"


def test_read_request_waits_for_the_body() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
        assert read_request(theirs).endswith(b"\r\n\r\nbody")
