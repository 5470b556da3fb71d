"""Requests one after the other: what is carried on, what stops them, what is shown and what never is."""

import json
import socket
import ssl
from typing import Any

import hypothesis
import pytest
import trustme
from django.utils.translation import override
from hypothesis import strategies as st

from apps.checks.engine import plain
from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.explaining import explain
from apps.checks.types.hiding import without_secrets
from apps.checks.types.multistep import MultistepCheck, MultistepConfig
from apps.checks.types.steps import FIELDS
from apps.core.http import curl
from apps.core.http.curl import Reply
from apps.core.kinds import ConfigErrors, parse_config, public_config
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.peers.proxies import proxying
from tests.peers.web import answer, serving

TOKEN = "token-of-this-session"


def shop(connection: socket.socket, request: bytes) -> None:
    """A shop: a form with a hidden code, a login that wants code and cookie, orders for those with the token."""
    head, _blank, body = request.partition(b"\r\n\r\n")
    place = head.split(b" ")[1]
    if place == b"/form":
        page = b'<input type="hidden" name="code" value="c0de &quot;7">'
        connection.sendall(answer(200, page, Set_Cookie="session=s1; Path=/", X_Next="/orders"))
    elif place == b"/login":
        given = json.loads(body)
        right = given == {"user": "prober", "password": 'pass"word-secret', "code": "c0de"} and b"session=s1" in head
        connection.sendall(answer(200 if right else 403, json.dumps({"token": TOKEN, "user": {"id": 7}}).encode()))
    elif place == b"/orders/7?q=a%2Fb" and f"Authorization: Bearer {TOKEN}".encode() in head:
        connection.sendall(answer(200, b'{"orders": [1, 2], "echo": "pass\\"word-secret"}'))
    else:
        connection.sendall(answer(404, place))


def steps(base: str, **changes: Any) -> list[dict[str, Any]]:
    form = {
        "name": "Form",
        "url": f"{base}/form",
        "extract": {"code": 'regex: name="code" value="(\\w+)', "next": "header: X-Next"},
    }
    login = {
        "name": "Login",
        "method": "POST",
        "url": f"{base}/login",
        "body": {"user": "prober", "password": "{{password}}", "code": "{{code}}"},
        "extract": {"token": "json: $.token", "id": "json: $.user.id"},
    }
    orders = {
        "name": "Orders",
        "url": f"{base}/orders/{{{{id}}}}?q={{{{query}}}}",
        "headers": {"Authorization": "Bearer {{token}}"},
        "conditions": ["len([BODY].orders) == 2"],
    }
    return [form, login, {**orders, **changes}]


SECRETS = {"password": 'pass"word-secret', "query": "a/b"}


async def walk(given: list[dict[str, Any]], *, allow_private: bool = True, **settings: Any) -> Outcome:
    config = parse_config(MultistepConfig, {"steps": given, "secrets": SECRETS, **settings})
    return (await probe_all([ProbeJob("one", "multistep", config, PATIENCE, allow_private)]))["one"]


async def test_values_and_cookies_are_carried_on() -> None:
    with serving(shop) as web:
        outcome = await walk(steps(web.url("")))

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 200)
    assert [(step["name"], step["ok"], step["status"]) for step in outcome.details["steps"]] == [
        ("Form", True, 200),
        ("Login", True, 200),
        ("Orders", True, 200),
    ]
    assert outcome.total_ms is not None
    assert sum(step["ms"] for step in outcome.details["steps"]) == pytest.approx(outcome.total_ms, abs=0.2)
    assert outcome.details["conditions"][-1] == {"text": "Orders: len([BODY].orders) == 2", "ok": True}
    assert outcome.redirects == 0


async def test_first_failed_step_ends_the_walk() -> None:
    with serving(shop) as web:
        outcome = await walk(steps(web.url("")), secrets={**SECRETS, "password": "wrong-secret"})

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "status_mismatch")
    assert outcome.error_values == {"status": 403, "expected": "200-299", "in_step": "Login"}
    assert [(step["name"], step["ok"]) for step in outcome.details["steps"]] == [("Form", True), ("Login", False)]
    assert outcome.details["steps"][1]["failed"] == "403 in 200-299"
    assert len(web.asked) == 2
    with override("en"):
        assert explain(outcome.error_code, outcome.error_values).reason == (
            "Step “Login”: The server answered 403; expected was 200-299."
        )


async def test_failed_condition_shows_what_was_seen() -> None:
    with serving(shop) as web:
        outcome = await walk(steps(web.url(""), conditions=["len([BODY].orders) > 4", "[BODY].echo == x"]))

    assert (outcome.error_code, outcome.error_values["in_step"]) == ("condition_failed", "Orders")
    assert outcome.error_values["condition"] == "len([BODY].orders) (2) > 4"


async def test_secrets_and_extracted_tokens_never_show() -> None:
    conditions = ["[BODY].echo == x", "[BODY] == {{token}}", "{{password}} == y"]
    with serving(shop) as web:
        outcome = await walk(steps(web.url(""), conditions=conditions))

    said = json.dumps([outcome.details, dict(outcome.error_values)], ensure_ascii=False)
    assert TOKEN not in said
    assert "word-secret" not in said
    assert "••••" in said


@pytest.mark.parametrize(
    "source", ["json: $.gone", "json: $..*", "regex: nothing (here)", "regex: (?>a+)+[bc]", "header: X-Gone"]
)
async def test_value_that_is_not_there_fails_its_step(source: str) -> None:
    with serving(shop) as web:
        outcome = await walk([{"name": "Form", "url": web.url("/form"), "extract": {"it": source}}])

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "extract_failed")
    assert outcome.error_values == {"variable": "it", "source": source, "in_step": "Form"}


async def test_address_is_judged_after_values_are_put_in() -> None:
    def lead(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(answer(200, b'{"place": "http://169.254.169.254/latest/", "host": "evil.example/x"}'))

    with serving(lead) as web:
        first = {"url": web.url(), "extract": {"place": "json: $.place", "host": "json: $.host"}}
        metadata = await walk([first, {"url": "{{place}}"}])
        broken = await walk([first, {"url": "http://{{host}}.example.com/"}])

    assert (metadata.error_code, metadata.error_values["reason"]) == ("address_forbidden", "metadata")
    assert broken.error_code == "step_unusable"
    assert len(web.asked) == 2


async def test_private_target_is_refused_without_the_right() -> None:
    with serving(shop) as web:
        outcome = await walk(steps(web.url("")), allow_private=False)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")
    assert web.connections == 0


async def test_header_cannot_be_broken_out_of() -> None:
    def lead(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(answer(200, b'{"it": "a\\r\\nX-Evil: 1"}'))

    with serving(lead) as web:
        first = {"url": web.url(), "extract": {"it": "json: $.it"}}
        outcome = await walk([first, {"name": "Two", "url": web.url(), "headers": {"X-It": "{{it}}"}}])

    assert (outcome.error_code, outcome.error_values["in_step"]) == ("step_unusable", "Two")
    assert len(web.asked) == 1


async def test_steps_go_by_the_proxy() -> None:
    with serving(shop) as web, proxying("http", username="me", password="right") as proxy:
        settings = {"proxy": proxy.url, "proxy_username": "me"}
        outcome = await walk(steps(web.url("")), proxy_password="right", **settings)
        refused = await walk(steps(web.url("")), proxy_password="wrong", **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert proxy.asked == [("127.0.0.1", web.port)] * 3
    assert (refused.verdict, refused.error_code) == (Verdict.FAILURE, "proxy_refused")


async def test_client_certificate_is_shown_to_named_hosts_only() -> None:
    authority = trustme.CA()
    client = authority.issue_cert("prober.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    shown: list[tuple[bytes, bool]] = []

    def respond(connection: Any, request: bytes) -> None:
        place = request.split(b" ")[1]
        shown.append((place, bool(connection.getpeercert())))
        onward = answer(302, b"", Location=web.url("/there", host="127.0.0.1"))
        connection.sendall(onward if place == b"/on" else answer())

    with serving(respond, tls=context) as web:
        outcome = await walk(
            [{"url": web.url("/here", host="localhost")}, {"url": web.url("/on", host="localhost")}],
            verify_tls=False,
            client_certificate=client.cert_chain_pems[0].bytes().decode(),
            client_key=client.private_key_pem.bytes().decode(),
        )

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert shown == [(b"/here", True), (b"/on", True), (b"/there", False)]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"client_certificate": "x"}, "client_key"),
        ({"client_certificate": "x", "client_key": "y"}, "client_certificate"),
        ({"proxy": "proxy.example.com:3128"}, "proxy"),
    ],
)
def test_wrong_way_out_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(MultistepConfig, {"steps": [{"url": "https://example.com/"}], **given})

    assert list(caught.value.errors) == [field]


async def test_answers_that_were_judged_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    replies: list[Reply] = []

    class Watched(Reply):
        def __init__(self, *args: Any, **values: Any) -> None:
            super().__init__(*args, **values)
            held.append(sum(len(reply.body) for reply in replies))
            replies.append(self)

    monkeypatch.setattr(plain, "Reply", Watched)
    monkeypatch.setattr(curl, "Reply", Watched)

    def respond(connection: socket.socket, request: bytes) -> None:
        body = b"x" * 100_000
        is_there = request.startswith(b"GET /there ")
        connection.sendall(answer(200, body) if is_there else answer(302, body, Location="/there"))

    with serving(respond) as web:
        outcome = await walk([{"url": web.url()}] * 3)

    assert (outcome.verdict, outcome.redirects, outcome.body_bytes) == (Verdict.SUCCESS, 3, 100_000)
    assert held == [0] * 6


async def test_time_is_for_all_steps_together() -> None:
    def dawdle(connection: socket.socket, _request: bytes) -> None:
        web.stopped.wait(0.5)
        connection.sendall(answer())

    with serving(dawdle) as web:
        config = parse_config(MultistepConfig, {"steps": [{"url": web.url()}] * 20})
        outcome = (await probe_all([ProbeJob("one", "multistep", config, 3, True)]))["one"]

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "timeout")
    assert len(outcome.details["steps"]) < 10


async def test_details_stay_small() -> None:
    with serving(lambda connection, _request: connection.sendall(answer(200, b"x" * 5_000))) as web:
        given = [{"name": "ü" * 40, "url": web.url(), "conditions": ["[BODY] != y"] * 30}] * 20
        outcome = await walk(given)

    assert outcome.verdict == Verdict.SUCCESS
    assert len(json.dumps(outcome.details, ensure_ascii=False).encode()) < 4_096


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "This field is required."),
        ([{}], "Step 1: Give its URL."),
        ([{"url": "ftp://x"}], "Step 1: Only addresses"),
        ([{"url": "https://x.example", "surprise": 1}], "Step 1: “surprise” is no part of a step"),
        ([{"url": 5}], "Step 1: “url” must be a text"),
        ([{"url": "https://x.example", "method": "get"}], "Step 1: Write the method in capitals"),
        ([{"url": "https://x.example", "body": "x"}], "Step 1: GET and HEAD send no body"),
        ([{"url": "https://x.example", "headers": ["a"]}], "Step 1: “headers” must be an object"),
        ([{"url": "https://x.example", "headers": {"Bad Name": "x"}}], "Step 1: “Bad Name” is not a header name"),
        ([{"url": "https://x.example", "conditions": "x"}], "Step 1: “conditions” must be a list"),
        ([{"url": "https://x.example", "conditions": ["[STATUS]==200"]}], "Step 1: “[STATUS]==200” has no comparison"),
        ([{"url": "https://x.example", "expected_status": "ok"}], "Step 1: “ok” is not a status"),
        ([{"url": "https://x.example", "extract": {"a b": "json: $.a"}}], "Step 1: “a b” is no name for a variable"),
        ([{"url": "https://x.example", "extract": {"a": "$.a"}}], "Step 1: “a” must say where its value is"),
        ([{"url": "https://x.example", "extract": {"a": "json: a"}}], "Step 1: “a” is not a JSONPath"),
        ([{"url": "https://x.example", "extract": {"a": "regex: ("}}], "Step 1: The pattern cannot be read"),
        ([{"url": "https://x.example/{{gone}}"}], "Step 1 uses {{gone}}"),
        ([{"url": "https://x.example", "extract": {"a": "header: X"}}, {"url": "{{b}}"}], "Step 2 uses {{b}}"),
        ([{"url": "https://x.example"}] * 21, "These are too many: 20 steps are the most."),
    ],
)
def test_wrong_step_is_named(given: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(MultistepConfig, {"steps": given})

    assert list(caught.value.errors) == ["steps"]
    assert caught.value.errors["steps"][0].startswith(said)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a s3cr/et"x b', "a •••• b"),
        ('{"a": "s3cr/et\\"x"}', '{"a": "••••"}'),
        ("?q=s3cr%2Fet%22x&", "?q=••••&"),
        ("[BODY] (s3cr/e…", "[BODY] (••••…"),
        ("[BODY] (x s3cr/...(truncated)) == pat(*)", "[BODY] (x ••••...(truncated)) == pat(*)"),
        ("ends in s3cr", "ends in ••••"),
        ("s3c", "s3c"),
        ("nothing here", "nothing here"),
    ],
)
def test_secret_is_hidden_in_every_form(text: str, shown: str) -> None:
    assert without_secrets(text, ['s3cr/et"x', "ab"]) == shown


def test_secrets_are_masked_and_named_well() -> None:
    sample = MultistepCheck().sample()

    assert public_config(sample)["secrets"] == {"password": "••••word"}
    with pytest.raises(ConfigErrors):
        parse_config(MultistepConfig, {"steps": [{"url": "https://x.example"}], "secrets": {"a b": "c"}})


def test_target_is_the_first_address_without_its_query() -> None:
    config = MultistepConfig(steps=[{"url": "https://x.example/{{id}}?key={{key}}"}])

    assert MultistepCheck().target(config) == "https://x.example/{{id}}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELD = JSON | st.sampled_from(
    ["{{", "{{a}}/x", "json: $", "regex: (", ["[STATUS] == 200", 5], {"a": "json: $.a"}, {"A": "b"}]
)


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True)
@hypothesis.given(step=st.dictionaries(st.sampled_from([*FIELDS, "other"]), FIELD, max_size=6), has_url=st.booleans())
def test_any_step_is_taken_or_refused(step: dict[str, Any], has_url: bool) -> None:
    given = {**step, "url": "https://x.example/"} if has_url else step

    try:
        config = parse_config(MultistepConfig, {"steps": [given]})
    except ConfigErrors:
        return

    assert len(config.plan) == 1
    assert MultistepCheck().target(config).startswith(("https://", "{{"))
