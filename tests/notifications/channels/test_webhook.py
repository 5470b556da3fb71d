"""Webhooks: signed by the standard, refused and slow in every way the outside has."""

import base64
import errno
import hashlib
import hmac
import json
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
import trustme

from apps.core.http import curl
from apps.core.kinds import ConfigErrors, parse_config
from apps.notifications.channels import posting
from apps.notifications.channels.base import DeliveryError, Message, Policy, Receipt
from apps.notifications.channels.webhook import WebhookChannel, WebhookConfig, payload, signed_headers
from tests.peers.receiver import Say, listening

LOCAL = Policy(allow_private=True)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def deliver(url: str, message: Message, *, policy: Policy = LOCAL, **settings: object) -> Receipt:
    config = parse_config(WebhookConfig, {"url": url, "secret": SECRET, **settings})
    return WebhookChannel().deliver(config, message, key="alert:1:firing", policy=policy)


def refused(url: str, message: Message, *, policy: Policy = LOCAL) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(url, message, policy=policy)
    return caught.value


def test_signature_is_that_of_the_standards_own_example() -> None:
    headers = signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_receiver_can_verify_what_arrives(message: Message) -> None:
    with listening() as server, time_machine.travel(datetime(2026, 11, 21, 3, 1, tzinfo=UTC), tick=True):
        receipt = deliver(server.url(), message, headers={"Authorization": "Bearer abc"})

    assert receipt == Receipt(200, "ok")
    (heard,) = server.heard
    signed = f"{heard.headers['webhook-id']}.{heard.headers['webhook-timestamp']}.".encode() + heard.body
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256)
    assert heard.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert heard.headers["webhook-id"] == heard.headers["idempotency-key"] == "alert:1:firing"
    assert heard.headers["webhook-timestamp"] == "1795230060"
    assert heard.headers["authorization"] == "Bearer abc"
    assert heard.headers["content-type"] == "application/json"


def test_body_by_the_letter_and_the_same_on_every_try(message: Message) -> None:
    with listening() as server:
        deliver(server.url(), message)
        deliver(server.url(), message)

    first, second = server.heard
    assert first.body == second.body
    assert json.loads(first.body) == {
        "type": "notification.firing",
        "timestamp": "2026-11-21T03:00:00+00:00",
        "data": {
            "title": "api <prod> & friends is down",
            "text": "Expected status 200,\ngot 503 & <html>",
            "severity": "critical",
            "state": "firing",
            "facts": [
                {"label": "Check", "value": "api"},
                {"label": "URL", "value": "https://api.example/?a=1&b=2"},
            ],
            "url": "https://obsera.example/t/acme/alerts/1/",
            "started_at": "2026-11-21T03:00:00+00:00",
            "ended_at": None,
            "thread": "alert:1",
        },
    }


def test_any_2xx_is_a_yes(message: Message) -> None:
    with listening(Say(204, b"")) as server:
        assert deliver(server.url(), message) == Receipt(204, "")


@pytest.mark.parametrize(
    ("status", "permanent", "is_gone", "code"),
    [(410, True, True, "gone"), (500, False, False, "http-500"), (404, False, False, "http-404")],
)
def test_refusals(message: Message, status: int, permanent: bool, is_gone: bool, code: str) -> None:
    with listening(Say(status, b"no\x00t  now\n")) as server:
        error = refused(server.url(), message)

    assert (error.permanent, error.is_gone, error.code, error.status_code) == (permanent, is_gone, code, status)
    assert error.detail == "not now"


def test_redirect_is_a_failure_and_never_followed(message: Message) -> None:
    with listening() as target, listening(Say(302, b"", {"Location": target.url()})) as server:
        error = refused(server.url(), message)

        assert target.heard == []
    assert (error.permanent, error.code) == (False, "http-302")
    assert error.message == (
        "The receiver sent a redirect (status 302), which is never followed. Enter the address it leads to."
    )


def test_long_answer_is_kept_short(message: Message) -> None:
    with listening(Say(500, b"x" * 5_000_000)) as server:
        error = refused(server.url(), message)

    assert error.detail == "x" * 500


def test_hanging_receiver_is_given_up_in_time(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "SEND_TIMEOUT", timedelta(seconds=0.5))
    with listening(Say(hangs=True)) as server:
        began = time.monotonic()
        error = refused(server.url(), message)
        took = time.monotonic() - began

    assert (error.permanent, error.code, error.status_code) == (False, "timeout", None)
    assert error.message == "The receiver took the request but did not answer within 10 seconds."
    assert 0.4 < took < 30  # it would hang for a minute


def test_certificate_nobody_vouches_for_is_refused_before_the_message_leaves(message: Message) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with listening(tls=context) as server:
        error = refused(server.url(), message)

    assert (error.permanent, error.code) == (False, "tls_unknown_issuer")
    assert error.message == "The receiver's certificate comes from an unknown authority, or lacks the intermediate one."
    assert server.heard == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1"])
def test_private_address_is_refused_where_the_tenant_may_not(message: Message, host: str) -> None:
    with listening() as server:
        error = refused(server.url(host=host), message, policy=Policy(allow_private=False))

    assert (error.permanent, error.code) == (True, "address_forbidden")
    assert error.message.startswith("The address leads to a private or reserved network")
    assert server.heard == []


def test_nobody_listening_is_worth_another_try(message: Message) -> None:
    with listening() as server:
        url = server.url()
    error = refused(url, message)

    assert (error.permanent, error.code) == (False, "connect_refused")


def test_want_of_ipv6_is_told_in_words_and_worth_another_try(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ipv6(*_arguments: int) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(curl, "_socket", SimpleNamespace(socket=without_ipv6))
    error = refused("http://[::1]:9/", message)

    assert (error.permanent, error.code) == (False, "no_ipv6_here")
    assert error.message == "There is no way to the receiver's network from here."


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("0", timedelta(0)),
        ("999999999999", timedelta(hours=1)),
        ("Sat, 21 Nov 2026 03:00:45 GMT", timedelta(seconds=45)),
        ("Sat, 21 Nov 2026 02:00:00 GMT", timedelta(0)),
        ("Sat, 21 Nov 2099 02:00:00 GMT", timedelta(hours=1)),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_patience_reads_seconds_and_dates_up_to_an_hour(header: str, wait: timedelta | None) -> None:
    with time_machine.travel(datetime(2026, 11, 21, 3, 0, tzinfo=UTC), tick=False):
        assert posting.patience(header) == wait


def test_settings_make_a_secret_where_none_is_given() -> None:
    first = parse_config(WebhookConfig, {"url": "https://hooks.example.com/in"})
    second = parse_config(WebhookConfig, {"url": "https://hooks.example.com/in"})

    assert first.secret.startswith("whsec_")
    assert len(base64.b64decode(first.secret.removeprefix("whsec_"))) == 32
    assert first.secret != second.secret


@pytest.mark.parametrize(
    ("given", "field", "complaint"),
    [
        ({"url": "ftp://a.example/"}, "url", "Only addresses that begin with http:// or https:// can be used."),
        ({"secret": "whsec_c2hvcnQ="}, "secret", "Write whsec_ followed by 24 to 64 bytes in base64."),
        ({"secret": "hunter2"}, "secret", "Write whsec_ followed by 24 to 64 bytes in base64."),
        ({"headers": {"Webhook-Id": "1"}}, "headers", "The header “Webhook-Id” is set by Obsera."),
        ({"headers": {"Idempotency-Key": "1"}}, "headers", "The header “Idempotency-Key” is set by Obsera."),
        (
            {"headers": {"Connection": "close"}},
            "headers",
            "The header “Connection” belongs to the connection and cannot be set.",
        ),
    ],
)
def test_wrong_settings_are_refused_by_name(given: dict[str, object], field: str, complaint: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(WebhookConfig, {"url": "https://hooks.example.com/in", **given})

    assert caught.value.errors == {field: [complaint]}


def test_payload_of_a_resolved_message_names_its_end(message: Message) -> None:
    ended = replace(message, ended_at=datetime(2026, 11, 21, 3, 5, tzinfo=UTC))

    assert payload(ended)["data"]["ended_at"] == "2026-11-21T03:05:00+00:00"
