"""What goes along where a server redirects: which method, which body, which headers, and which of them to whom."""

import socket
from typing import Any

import pytest

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.base import Exchange, ProbeContext
from apps.checks.types.http import HttpCheck, HttpConfig
from apps.checks.types.multistep import MultistepCheck, MultistepConfig
from apps.core.http.curl import OutboundRequest, Reply
from apps.core.http.urls import ParsedUrl
from tests.checks.engine.probing import PATIENCE, probe, probe_all
from tests.peers.web import Web, answer, saying, serving


def _lines(request: bytes) -> dict[bytes, bytes]:
    """Return a request's header lines by name."""
    head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return {name.lower(): value.strip() for name, _colon, value in (line.partition(b":") for line in head)}


def _body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("method", "status", "after"),
    [
        *((method, status, method) for method in ("PUT", "DELETE", "PATCH", "OPTIONS") for status in (301, 302)),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        *((method, 303, "GET") for method in ("PUT", "DELETE", "POST", "GET")),
        *(("HEAD", status, "HEAD") for status in (301, 302, 303)),
        ("PUT", 307, "PUT"),
        ("DELETE", 308, "DELETE"),
    ],
)
async def test_only_post_and_see_other_turn_into_get(method: str, status: int, after: str) -> None:
    def lead(connection: socket.socket, request: bytes) -> None:
        connection.sendall(answer(status, b"", Location="/new") if b" /old " in request else answer(200, b""))

    body = '{"a": 1}' if method in ("PUT", "POST", "PATCH") else ""
    with serving(lead) as web:
        outcome = await probe(web.url("/old"), method=method, body=body, headers={"Content-Language": "en"})

    assert (outcome.verdict, outcome.redirects) == (Verdict.SUCCESS, 1)
    assert web.asked[1].startswith(f"{after} /new HTTP/1.1\r\n".encode())
    is_kept = method == after
    assert _body(web.asked[1]) == (body.encode() if is_kept else b"")
    assert (b"content-language" in _lines(web.asked[1])) is is_kept
    assert (b"content-type" in _lines(web.asked[1])) is (is_kept and bool(body))


@pytest.mark.parametrize("status", [307, 308])
async def test_what_is_harmless_goes_to_another_origin_too(status: int) -> None:
    with (
        serving(saying(answer())) as elsewhere,
        serving(saying(answer(status, b"", Location=elsewhere.url("/there")))) as web,
    ):
        outcome = await probe(
            web.url(),
            method="POST",
            body='{"a": 1}',
            auth="basic",
            username="me",
            password="secret-password",
            headers={"Accept": "text/x", "accept-language": "de", "User-Agent": "me/1", "X-Key": "secret-key"},
        )

    assert outcome.verdict == Verdict.SUCCESS
    assert _body(elsewhere.asked[0]) == b'{"a": 1}'
    lines = _lines(elsewhere.asked[0])
    assert lines[b"content-type"] == b"application/json"
    assert (lines[b"accept"], lines[b"accept-language"], lines[b"user-agent"]) == (b"text/x", b"de", b"me/1")
    assert {b"authorization", b"x-key"} <= set(_lines(web.asked[0]))
    assert not {b"authorization", b"x-key"} & set(_lines(elsewhere.asked[0]))


async def _walk(step: dict[str, Any], **settings: Any) -> Any:
    config = MultistepConfig(steps=[{"name": "One", **step}], secrets={"password": 'pass"word-secret'}, **settings)
    return (await probe_all([ProbeJob("one", "multistep", config, PATIENCE, allow_private=True)]))["one"]


def _leading_elsewhere(elsewhere: Web) -> Any:
    return serving(saying(answer(307, b"", Location=elsewhere.url("/there", host="localhost"))))


@pytest.mark.parametrize("body", [{"password": "{{password}}"}, "password={{password}}"])
async def test_body_with_secrets_goes_to_nobody_else(body: Any) -> None:
    with serving(saying(answer())) as elsewhere, _leading_elsewhere(elsewhere) as web:
        outcome = await _walk({"url": web.url(), "method": "POST", "body": body})

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "redirect_with_secrets")
    assert outcome.error_values == {"place": "http://localhost", "in_step": "One"}
    assert elsewhere.asked == []


async def test_body_without_secrets_goes_along_and_headers_with_them_stay() -> None:
    with serving(saying(answer())) as elsewhere, _leading_elsewhere(elsewhere) as web:
        headers = {"User-Agent": "me {{password}}", "Accept": "text/x"}
        outcome = await _walk({"url": web.url(), "method": "POST", "body": {"a": 1}, "headers": headers})

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert _body(elsewhere.asked[0]) == b'{"a": 1}'
    assert _lines(elsewhere.asked[0])[b"accept"] == b"text/x"
    assert b"secret" in web.asked[0]
    assert b"secret" not in elsewhere.asked[0]


class _Leading:
    """A way out that answers the first request with a redirect: tests have no ports 80 and 443 of their own."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.asked: list[OutboundRequest] = []

    async def exchange(
        self, request: OutboundRequest, _address: ParsedUrl, *, context: ProbeContext, timeout_seconds: float
    ) -> Exchange:
        self.asked.append(request)
        is_first = len(self.asked) == 1
        status, place = (308, self._place) if is_first else (200, "")
        return Exchange(Reply(None, status, "1.1", "", b"", False, "", place, None, 0, 0, 0, 0, 0, 0), 0)


@pytest.mark.parametrize(
    ("here", "there", "goes_along"),
    [
        ("http://example.com/", "https://example.com/", True),
        ("http://example.com/", "https://example.com:8443/", False),
        ("http://example.com:8080/", "https://example.com/", False),
        ("http://example.com/", "https://www.example.com/", False),
        ("https://example.com/", "http://example.com/", False),
    ],
)
async def test_credentials_go_from_http_to_https_of_the_same_host_and_never_back(
    here: str, there: str, goes_along: bool
) -> None:
    leading: Any = _Leading(there)
    config = HttpConfig(url=here, method="POST", body="{}", auth="bearer", token="secret-token")

    outcome = await HttpCheck().probe(config, ProbeContext(PATIENCE, False, leading, leading))

    assert outcome.verdict == Verdict.SUCCESS
    lines = leading.asked[1].header_lines
    assert (b"Authorization: Bearer secret-token" in lines) is goes_along
    assert b"Content-Type: application/json" in lines


@pytest.mark.parametrize(
    ("here", "there", "goes_along"),
    [
        ("https://shop.example/", "https://www.shop.example/", True),
        ("https://www.shop.co.uk/", "https://shop.co.uk/", True),
        ("http://shop.example/", "https://www.shop.example/", True),
        ("https://shop.example:8443/", "https://www.shop.example:8443/", True),
        ("https://shop.example/", "https://www.shop.example:8443/", False),
        ("https://shop.example/", "http://www.shop.example/", False),
        ("http://shop.example/", "http://www.shop.example/", False),
        ("https://shop.example/", "https://shop.elsewhere.example/", False),
        ("https://shop.co.uk/", "https://evil.co.uk/", False),
        ("https://mine.github.io/", "https://theirs.github.io/", False),
        ("https://192.0.2.1/", "https://198.51.2.1/", False),
    ],
)
async def test_body_with_secrets_stays_in_the_domain_and_headers_with_the_host(
    here: str, there: str, goes_along: bool
) -> None:
    leading: Any = _Leading(there)
    step = {"url": here, "method": "POST", "body": "password={{password}}", "headers": {"X-Key": "{{password}}"}}
    config = MultistepConfig(steps=[step], secrets={"password": "the-secret-password"})

    outcome = await MultistepCheck().probe(config, ProbeContext(PATIENCE, False, leading, leading))

    assert outcome.error_code == ("" if goes_along else "redirect_with_secrets")
    assert [request.body for request in leading.asked] == [b"password=the-secret-password"] * (1 + goes_along)
    assert not any(b"secret" in line for request in leading.asked[1:] for line in request.header_lines)


@pytest.mark.parametrize(("value", "goes_along"), [("json", True), ("1234567", True), ("12345678", False)])
async def test_short_extracted_values_are_no_secrets(value: str, goes_along: bool) -> None:
    def respond(connection: socket.socket, request: bytes) -> None:
        onward = answer(307, b"", Location=elsewhere.url("/there", host="localhost"))
        connection.sendall(answer(200, b"", X_Value=value) if request.startswith(b"GET ") else onward)

    with serving(saying(answer())) as elsewhere, serving(respond) as web:
        first = {"url": web.url(), "extract": {"value": "header: X-Value"}}
        body = {"of": "a/{{value}}/b"}
        config = MultistepConfig(steps=[first, {"url": web.url(), "method": "POST", "body": body}])
        outcome = (await probe_all([ProbeJob("one", "multistep", config, PATIENCE, allow_private=True)]))["one"]

    assert outcome.error_code == ("" if goes_along else "redirect_with_secrets")
    assert [_lines(request)[b"content-type"] for request in elsewhere.asked] == [b"application/json"] * goes_along
