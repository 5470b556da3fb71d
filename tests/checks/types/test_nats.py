"""NATS against real servers, and against servers that misbehave."""

from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types.nats import NatsConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.nats import PASSWORD, TOKEN, USER, Nats, nats_servers
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("nats")  # one server is enough


@pytest.fixture(scope="session")
def servers(authority: trustme.CA) -> Iterator[Nats]:
    with nats_servers(authority) as running:
        yield running


async def look(port: int, **config: Any) -> Any:
    return await ask("nats", host="localhost", port=port, **config)


async def test_user_and_jetstream_are_judged(servers: Nats) -> None:
    outcome = await look(servers.port, username=USER, password=PASSWORD, needs_jetstream=True, server_name="first")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert {**outcome.details, "version": ""} == {
        "version": "",
        "name": "first",
        "streams": 0,
        "consumers": 0,
        "storage": 0,
    }
    assert outcome.details["version"].count(".") == 2


async def test_account_without_jetstream_is_named(servers: Nats) -> None:
    outcome = await look(servers.port, username="poor", password=PASSWORD, needs_jetstream=True)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "nats_jetstream_missing")
    assert outcome.error_values == {"answer": "JetStream not enabled for account"}


async def test_server_without_jetstream_is_named(servers: Nats) -> None:
    outcome = await look(servers.token_port, token=TOKEN, needs_jetstream=True)

    assert (outcome.error_code, outcome.error_values) == ("nats_jetstream_missing", {"answer": "NATS/1.0 503"})


async def test_token_logs_in(servers: Nats) -> None:
    good = await look(servers.token_port, token=TOKEN)
    bad = await look(servers.token_port, token="wrong")
    none = await look(servers.token_port)

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert (bad.error_code, none.error_code) == ("login_refused", "login_refused")
    assert bad.error_values == {"answer": "Authorization Violation"}


async def test_other_refusals_are_named(servers: Nats) -> None:
    wrong = await look(servers.port, username=USER, password="wrong")
    other = await look(servers.port, username=USER, password=PASSWORD, server_name="second")
    private = await look(servers.port, allow_private=False)
    unencrypted = await look(servers.port, security="starttls")

    assert [outcome.error_code for outcome in (wrong, other, private, unencrypted)] == [
        "login_refused",
        "nats_name_mismatch",
        "address_forbidden",
        "encryption_missing",
    ]
    assert other.error_values == {"name": "first", "expected": "second"}


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(servers: Nats) -> None:
    outcome = await look(servers.tls_port, security="starttls")
    open_text = await look(servers.tls_port)

    assert (outcome.verdict, outcome.error_code, outcome.details["name"]) == (Verdict.SUCCESS, "", "third")
    assert outcome.cert_expires_at is not None
    assert open_text.verdict == Verdict.FAILURE


async def test_unknown_authority_fails(servers: Nats) -> None:
    outcome = await look(servers.tls_port, security="starttls")

    assert outcome.error_code == "tls_unknown_issuer"


INFO = b'INFO {"server_name":"x"}\r\n'


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (INFO + b"PING\r\n+OK\r\nPONG\r\nMSG a 1 2\r\n{}\r\n", ""),
        (INFO + b"PONG\r\nMSG a 1 99999999\r\n", "wrong_protocol"),
        (INFO + b"PONG\r\nMSG a 1 \xc2\xb2\r\n", "wrong_protocol"),
        (INFO + b"PONG\r\nMSG a 1 2\r\n[]\r\n", "wrong_protocol"),
        (INFO + b"PONG\r\n-ERR 'Permissions Violation'\r\n", "nats_jetstream_missing"),
        (INFO + b"-ERR 'maximum connections exceeded'\r\n", "service_error"),
        (b"-ERR 'maximum connections exceeded'\r\n", "service_error"),
        (b"INFO [1]\r\n", "wrong_protocol"),
        (b"INFO {\r\n", "wrong_protocol"),
        (b"INFO " + b"[" * 60_000 + b"\r\n", "wrong_protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (INFO + b"PING\r\n" * 101, "wrong_protocol"),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port, needs_jetstream=True)

    assert outcome.error_code == code


async def test_endless_line_ends_at_its_limit() -> None:
    with serving(lambda c, r: flooding(b"INFO" * 1_024, web.stopped)(c, r), listens=False) as web:
        outcome = await look(web.port)

    assert (outcome.error_code, outcome.error_values) == ("answer_too_large", {"limit": 65_536})


def test_token_and_user_together_are_refused() -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(NatsConfig, {"host": "nats.example.com", "token": "t", "username": "u"})

    assert set(refused.value.errors) == {"token"}


async def test_nothing_is_told_in_clear_to_a_server_that_wants_encryption() -> None:
    heard: list[bytes] = []

    def note(connection: Any, _request: bytes) -> None:
        connection.sendall(b'INFO {"tls_required":true}\r\n')
        heard.append(connection.recv(65_536))

    with serving(note, listens=False) as web:
        outcome = await ask("nats", host="127.0.0.1", port=web.port, username="a", password="s3cret!")

    assert (outcome.error_code, heard) == ("nats_tls_required", [b""])


async def test_impossible_counts_are_not_kept() -> None:
    said = b'{"streams":' + b"9" * 4_000 + b',"storage":-1,"consumers":2}'
    said = b"INFO {}\r\nPONG\r\nMSG a 1 %d\r\n%s\r\n" % (len(said), said)
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("nats", host="127.0.0.1", port=web.port, needs_jetstream=True)

    assert (outcome.verdict, outcome.details) == (Verdict.SUCCESS, {"consumers": 2})
