"""Showing who one is: passwords, tokens, OAuth 2, client certificates, cookies. And where none of that goes."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import trustme

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.http import HttpConfig
from apps.core import clock
from apps.core.http import curl
from tests.checks.engine.probing import PATIENCE, probe, probe_all
from tests.peers.tokens import TokenServer, giving_tokens
from tests.peers.web import answer, saying, serving


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def _trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setattr(curl, "ca_file", lambda: path)
        yield


def oauth(server: TokenServer, **settings: Any) -> dict[str, Any]:
    return {
        "auth": "oauth2",
        "oauth_token_url": server.url,
        "oauth_client_id": server.client_id,
        "oauth_client_secret": server.client_secret,
        **settings,
    }


async def probe_config(config: HttpConfig) -> Outcome:
    return (await probe_all([ProbeJob("one", "http", config, PATIENCE, allow_private=True)]))["one"]


def admitting(*tokens: bytes) -> Any:
    def respond(connection: socket.socket, request: bytes) -> None:
        sent = next((line for line in request.split(b"\r\n") if line.lower().startswith(b"authorization: ")), b"")
        connection.sendall(answer(200 if sent.removeprefix(b"Authorization: Bearer ") in tokens else 401))

    return respond


async def test_password_and_token_are_sent() -> None:
    with serving(saying(answer())) as web:
        await probe(web.url(), auth="basic", username="ä user", password="p:ä")
        await probe_config(HttpConfig(url=web.url(), auth="bearer", token="t0ken"))

    basic = b"Authorization: Basic " + b64encode("ä user:p:ä".encode())
    assert basic in web.asked[0].split(b"\r\n")
    assert b"Authorization: Bearer t0ken" in web.asked[1].split(b"\r\n")


async def test_credentials_stay_with_their_host() -> None:
    with (
        serving(saying(answer())) as elsewhere,
        serving(saying(answer(302, b"", Location=elsewhere.url(), Set_Cookie="session=secret-cookie"))) as web,
    ):
        outcome = await probe_config(
            HttpConfig(
                url=web.url(host="localhost"),
                auth="bearer",
                token="secret-token",
                cookies={"a": "secret-b"},
                keeps_cookies=True,
            )
        )

    assert (outcome.verdict, outcome.redirects) == (Verdict.SUCCESS, 1)
    assert b"secret-token" in web.asked[0]
    assert b"secret" not in elsewhere.asked[0]


async def test_own_cookies_and_kept_ones_are_one_line() -> None:
    def respond(connection: socket.socket, request: bytes) -> None:
        onward = answer(302, b"", Location="/there", Set_Cookie="session=s1; Path=/")
        connection.sendall(answer() if b" /there " in request else onward)

    with serving(respond) as web:
        await probe(web.url(), keeps_cookies=True, headers={"Cookie": "mine=1; theme=dark"})
        await probe(web.url(), keeps_cookies=True, headers={"Cookie": "session=own"})

    lines = [[line for line in request.split(b"\r\n") if line.startswith(b"Cookie:")] for request in web.asked]
    assert lines == [
        [b"Cookie: mine=1; theme=dark"],
        [b"Cookie: mine=1; theme=dark; session=s1"],
        [b"Cookie: session=own"],
        [b"Cookie: session=own"],
    ]


@pytest.mark.parametrize("in_body", [False, True])
async def test_token_is_asked_for_once_and_used(in_body: bool) -> None:
    with giving_tokens() as server, serving(admitting(b"token-1")) as web:
        config = HttpConfig(url=web.url(), **oauth(server, oauth_scope="read write", oauth_in_body=in_body))
        outcomes = [await probe_config(config) for _number in range(3)]

    assert [outcome.verdict for outcome in outcomes] == [Verdict.SUCCESS] * 3
    assert len(server.forms) == 1
    assert server.forms[0]["scope"] == "read write"
    assert ("client_secret" in server.forms[0]) is in_body


async def test_token_that_ended_is_asked_for_anew() -> None:
    with giving_tokens() as server, serving(admitting(b"token-1", b"token-2")) as web:
        server.expires_in = 0.001
        config = HttpConfig(url=web.url(), **oauth(server))
        for _number in range(2):
            await probe_config(config)

    assert len(server.forms) == 2


async def test_token_that_is_not_taken_is_forgotten() -> None:
    with giving_tokens() as server, serving(admitting(b"token-2")) as web:
        config = HttpConfig(url=web.url(), **oauth(server))
        first = await probe_config(config)
        second = await probe_config(config)

    assert (first.error_code, first.status_code) == ("status_mismatch", 401)
    assert second.verdict == Verdict.SUCCESS


async def test_kept_token_that_is_no_longer_taken_is_replaced_at_once() -> None:
    taken = [b"token-1"]

    def admit(connection: socket.socket, request: bytes) -> None:
        admitting(*taken)(connection, request)

    with giving_tokens() as server, serving(admit) as web:
        config = HttpConfig(url=web.url(), **oauth(server))
        first = await probe_config(config)
        taken[:] = [b"token-2"]  # as after a restart that forgot all tokens
        second = await probe_config(config)
        taken.clear()
        third = await probe_config(config)

    assert [outcome.status_code for outcome in (first, second, third)] == [200, 200, 401]
    assert len(server.forms) == 3
    assert web.connections == 5


async def test_token_that_the_target_repeats_is_hidden() -> None:
    with giving_tokens() as server, serving(saying(answer(200, b'{"said": "Bearer token-1"}'))) as web:
        outcome = await probe_config(HttpConfig(url=web.url(), json_rules=["$.said == x"], **oauth(server)))

    assert outcome.error_values == {"rule": "$.said == x", "seen": "Bearer ••••"}
    assert "token-1" not in str(outcome.details)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (answer(200, b"<html>"), "oauth_unreadable"),
        (answer(200, b'{"access_token": 5}'), "oauth_unreadable"),
        (answer(200, b'{"access_token": "a\\r\\nX-Evil: 1"}'), "oauth_unreadable"),
        (answer(200, b"[" * 60_000), "oauth_unreadable"),
        (answer(400, b'{"error": "invalid_scope"}'), "oauth_refused"),
        (answer(503, b""), "oauth_refused"),
        (b"nonsense", "oauth_unreachable"),
    ],
)
async def test_fault_of_the_token_server_is_named(broken: bytes, code: str) -> None:
    with giving_tokens() as server, serving(saying(answer())) as web:
        server.broken = broken
        outcome = await probe(web.url(), **oauth(server))

    assert (outcome.verdict, outcome.error_code, outcome.error_values["host"]) == (Verdict.FAILURE, code, "127.0.0.1")
    assert web.connections == 0


async def test_wrong_secret_says_what_the_server_said() -> None:
    with giving_tokens() as server, serving(saying(answer())) as web:
        outcome = await probe(web.url(), **oauth(server, oauth_client_secret="wrong"))

    assert outcome.error_code == "oauth_refused"
    assert (outcome.error_values["status"], outcome.error_values["detail"]) == (401, "invalid_client")


async def test_token_server_in_a_private_network_is_refused() -> None:
    with giving_tokens() as server:
        outcome = await probe("http://198.18.0.1/", allow_private=False, **oauth(server))

    assert (outcome.error_code, outcome.error_values["problem"]) == ("oauth_unreachable", "address forbidden")
    assert server.forms == []


@pytest.mark.usefixtures("_trusted")
async def test_client_certificate_is_shown(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    client = authority.issue_cert("prober.example")
    settings = {
        "client_certificate": b"".join(part.bytes() for part in client.cert_chain_pems).decode(),
        "client_key": client.private_key_pem.bytes().decode(),
    }
    with serving(saying(answer()), tls=context) as web:
        outcome = await probe(web.url(host="localhost"), **settings)
        without = await probe(web.url(host="localhost"))

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert without.verdict == Verdict.FAILURE


async def test_client_certificate_is_not_shown_to_another_host(authority: trustme.CA) -> None:
    shown: list[Any] = []
    client = authority.issue_cert("prober.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)

    def respond(connection: Any, _request: bytes) -> None:
        shown.append(connection.getpeercert())
        connection.sendall(answer(302, b"", Location=web.url("/", host="127.0.0.1")) if len(shown) == 1 else answer())

    with serving(respond, tls=context) as web:
        await probe(
            web.url(host="localhost"),
            verify_tls=False,
            client_certificate=client.cert_chain_pems[0].bytes().decode(),
            client_key=client.private_key_pem.bytes().decode(),
        )

    assert [bool(certificate) for certificate in shown] == [True, False]


async def test_cookies_are_sent_and_kept_along_redirects() -> None:
    def sign_in(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /start"):
            place = web.url("/done")
            head = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {place}\r\nSet-Cookie: session=s1; Path=/\r\n"
            head += "Set-Cookie: gone=1; Max-Age=0\r\nSet-Cookie: other=1; Domain=elsewhere.example\r\n"
            head += "Set-Cookie: safe=1; Secure\r\nSet-Cookie: deep=1; Path=/deep\r\n\r\n"
            connection.sendall(head.encode())
        else:
            connection.sendall(answer(200 if b"Cookie: theme=dark; session=s1\r\n" in request else 403))

    with serving(sign_in) as web:
        outcome = await probe(web.url("/start"), cookies={"theme": "dark"}, keeps_cookies=True)

    assert (outcome.verdict, outcome.status_code) == (Verdict.SUCCESS, 200)
    assert b"Cookie: theme=dark\r\n" in web.asked[0]


async def test_cookies_of_one_probe_are_gone_for_the_next() -> None:
    with serving(saying(answer(200, b"", Set_Cookie="session=s1"))) as web:
        config = HttpConfig(url=web.url(), keeps_cookies=True)
        for _number in range(2):
            await probe_config(config)

    assert not any(b"session" in request for request in web.asked)


@pytest.mark.parametrize(
    ("attributes", "is_kept"),
    [
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("expires=Thursday, 01-Jan-70 00:00:00 GMT", False),
        ("Expires=Fri, 01 Jan 2100 00:00:00 GMT", True),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", True),
        ("Expires=some day", True),
        ("Max-Age=0", False),
        ("Max-Age=-1", False),
        ("Max-Age=soon", True),
    ],
)
async def test_cookie_that_is_over_is_removed(attributes: str, is_kept: bool) -> None:
    def sign_out(connection: socket.socket, request: bytes) -> None:
        is_start = request.startswith(b"GET /start")
        connection.sendall(
            answer(302, b"", Location="/done", Set_Cookie=f"session=s2; {attributes}") if is_start else answer()
        )

    with serving(sign_out) as web:
        await probe(web.url("/start"), cookies={"session": "s1"}, keeps_cookies=True)

    assert (b"Cookie: session=s2\r\n" in web.asked[1]) == is_kept
    assert b"session=s1" not in web.asked[1]


async def test_cookies_for_https_are_not_sent_in_the_clear(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(saying(answer())) as clear:
        there = answer(302, b"", Location=clear.url())
        with serving(saying(there), tls=context) as web:
            outcome = await probe(web.url(), verify_tls=False, cookies={"session": "s1"})

    assert (outcome.verdict, outcome.redirects) == (Verdict.SUCCESS, 1)
    assert b"Cookie: session=s1\r\n" in web.asked[0]
    assert b"Cookie" not in clear.asked[0]


async def test_redirect_to_another_host_is_refused_where_asked() -> None:
    with serving(saying(answer(302, b"", Location="http://127.0.0.1:9/"))) as web:
        outcome = await probe(web.url(host="localhost"), same_host_redirects=True)

    assert (outcome.error_code, outcome.error_values) == ("redirect_elsewhere", {"host": "127.0.0.1"})


async def test_number_of_redirects_is_kept() -> None:
    with serving(saying(answer(302, b"", Location="/again"))) as web:
        outcome = await probe(web.url(), max_redirects=2)

    assert (outcome.error_code, outcome.error_values, web.connections) == ("too_many_redirects", {"count": 2}, 3)


@pytest.mark.usefixtures("_trusted")
async def test_certificate_is_judged_where_asked(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends_at = clock.now() + timedelta(days=30, hours=1)
    authority.issue_cert("localhost", not_after=ends_at).configure_cert(context)
    with serving(saying(answer()), tls=context) as web:
        good = await probe(web.url(host="localhost"), certificate_days=30, certificate_issuer="trustme")
        foreign = await probe(web.url(host="localhost"), certificate_issuer="Let's Encrypt")
        late = await probe(web.url(host="localhost"), conditions=["[CERTIFICATE_EXPIRATION] > 9000000h"])
        soon = await probe(web.url(host="localhost"), certificate_days=31)

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert good.details["certificate_chain"] == 1
    assert "trustme" in good.details["certificate_issuer"]
    assert foreign.error_code == "certificate_issuer_mismatch"
    assert late.error_code == "condition_failed"
    assert (soon.error_code, soon.error_values) == ("certificate_ends_soon", {"days": 30, "limit": 31})
