"""What HTTP checks assert of real answers, and that hostile answers cost little."""

import json
import re
import socket
import time
from datetime import timedelta
from typing import Any

import pytest

from apps.checks.enums import Verdict
from apps.checks.types import rdap
from apps.core import clock
from tests.checks.engine.probing import probe
from tests.checks.types.registries import always, registered, registry
from tests.peers.web import answer, saying, serving

STATE = {"status": "UP", "version": 7, "items": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}], "ok": True}
BODY = json.dumps(STATE).encode()


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"present": ["UP", "version"]}, ""),
        ({"present": ["UP", "DOWN"]}, "keyword_missing"),
        ({"absent": ["fatal"]}, ""),
        ({"absent": ["fatal", "UP"]}, "keyword_present"),
        ({"patterns": [r'"version": \d+']}, ""),
        ({"patterns": [r'"version": \d{2}']}, "pattern_missing"),
        ({"patterns_absent": [r"(?i)error|fatal"]}, ""),
        ({"patterns_absent": [r"(?i)up"]}, "pattern_present"),
        ({"header_rules": ["Content-Type: ~ ^application/json", "X-Build: == 12", "X-Gone: absent"]}, ""),
        ({"header_rules": ["x-build: exists", "X-Build: != 13", "X-Build: contains 2", "X-Build: !~ 3"]}, ""),
        ({"header_rules": ["X-Build: == 13"]}, "header_mismatch"),
        ({"header_rules": ["X-Gone: == 13"]}, "header_mismatch"),
        ({"header_rules": ["X-Gone: != 13"]}, ""),
        ({"json_rules": ["$.status == UP", "$.version >= 7", "$.items count == 2", "$.ok == true"]}, ""),
        ({"json_rules": ["$.items[?@.id == 2].name == two", "$.items[*].id > 0", "$.gone absent"]}, ""),
        ({"json_rules": ["$.status ~ ^U.$", "$.items[*].name contains o", "$.version == 7", "$.status exists"]}, ""),
        ({"json_rules": ['$.version == "7"']}, "json_mismatch"),
        ({"json_rules": ["$.ok == 1"]}, "json_mismatch"),
        ({"json_rules": ["$.gone == 1"]}, "json_mismatch"),
        ({"json_rules": ["$.items[*].id > 1"]}, "json_mismatch"),
        ({"json_rules": ["$.items count > 2"]}, "json_mismatch"),
        ({"json_rules": ["$.items[*].id count == 2", "$..name count == 2", "$.gone count == 0"]}, ""),
        (
            {"json_rules": ["$.version text == 7", "$.version number >= 7.0", "$.ok text == true", "$..id number > 0"]},
            "",
        ),
        ({"json_rules": ['$.status text == "UP"', "$.status text contains P", "$.items[*].name text != three"]}, ""),
        ({"json_rules": ["$.version text == 7.0"]}, "json_mismatch"),
        ({"json_rules": ["$.status number > 0"]}, "json_mismatch"),
        ({"json_rules": ["$.items text != x"]}, "json_mismatch"),
        ({"json_rules": ["$.gone text != x"]}, "json_mismatch"),
        ({"json_schema": '{"required": ["status"], "properties": {"version": {"type": "integer"}}}'}, ""),
        ({"json_schema": '{"properties": {"version": {"type": "string"}}}'}, "schema_mismatch"),
        ({"min_body_bytes": 10, "max_body_bytes": 1_000}, ""),
        ({"min_body_bytes": 1_000}, "body_too_small"),
        ({"max_body_bytes": 10}, "body_too_large"),
        ({"max_response_ms": 5_000}, ""),
        (
            {"conditions": ["[STATUS] == 200", "[BODY].status == UP", "len([BODY].items) == 2", "[CONNECTED] == true"]},
            "",
        ),
        ({"conditions": ["[HEADER].X-Build == 12", "[RESPONSE_TIME] < 5s", "[IP] == 127.0.0.1"]}, ""),
        ({"conditions": ["[BODY].status == DOWN"]}, "condition_failed"),
        ({"expected_status": "500", "present": ["UP"]}, "status_mismatch"),
        ({"keyword": "DOWN", "present": ["UP"]}, "keyword_missing"),
    ],
)
async def test_answer_is_judged(settings: dict[str, Any], code: str) -> None:
    with serving(saying(answer(200, BODY, Content_Type="application/json", X_Build="12"))) as web:
        outcome = await probe(web.url(), **settings)

    assert outcome.error_code == code
    assert outcome.verdict == (Verdict.FAILURE if code else Verdict.SUCCESS)


async def test_condition_may_ask_that_nobody_answers() -> None:
    with serving(saying(answer(200))) as web:
        answered = await probe(web.url(), conditions=["[CONNECTED] == false"])
    silent = await probe(web.url(), conditions=["[CONNECTED]==false"])
    forbidden = await probe(web.url(), conditions=["[CONNECTED] == false"], allow_private=False)

    assert (answered.verdict, answered.error_code) == (Verdict.FAILURE, "condition_failed")
    assert (silent.verdict, silent.error_code) == (Verdict.SUCCESS, "")
    assert (forbidden.verdict, forbidden.error_code) == (Verdict.FAILURE, "address_forbidden")


async def test_who_leads_elsewhere_has_answered_and_a_dead_proxy_says_nothing() -> None:
    nobody = "http://127.0.0.1:1/"
    with serving(saying(answer(302, b"", Location=nobody))) as web:
        led = await probe(web.url(), conditions=["[CONNECTED] == false"])
    unasked = await probe("http://example.com/", proxy=nobody, conditions=["[CONNECTED] == false"])

    assert (led.verdict, led.error_code) == (Verdict.FAILURE, "connect_refused")
    assert (unasked.verdict, unasked.error_code) == (Verdict.FAILURE, "proxy_failed")


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        (403, Verdict.FAILURE, "proxy_refused"),
        (502, Verdict.SUCCESS, ""),
        (503, Verdict.SUCCESS, ""),
        (504, Verdict.SUCCESS, ""),
    ],
)
async def test_a_proxy_s_no_is_not_the_target_s_silence(status: int, verdict: Verdict, code: str) -> None:
    with serving(saying(answer(status))) as proxy:
        outcome = await probe("https://example.com/", proxy=proxy.url(""), conditions=["[CONNECTED] == false"])

    assert (outcome.verdict, outcome.error_code) == (verdict, code)


async def test_condition_on_a_repeated_header_takes_the_first_and_rules_take_all() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Part: one\r\nX-Part: two\r\n\r\n"
    with serving(saying(reply)) as web:
        outcome = await probe(web.url(), conditions=["[HEADER].X-Part == one"], header_rules=["X-Part: == one, two"])

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")


@pytest.mark.parametrize(
    ("days", "code", "shown"),
    [
        (40, "", "[DOMAIN_EXPIRATION] > 720h"),
        (20, "condition_failed", "[DOMAIN_EXPIRATION] (480h) > 720h"),
        (None, "condition_failed", "[DOMAIN_EXPIRATION] (0s) > 720h"),
    ],
)
async def test_end_of_the_domain_is_asked_of_its_registry(
    monkeypatch: pytest.MonkeyPatch, days: int | None, code: str, shown: str
) -> None:
    ends = clock.now() + timedelta(days=days, minutes=30) if days else None
    rdap.forget()
    with serving(saying(answer())) as web, registry(monkeypatch, always(registered(ends))) as (_registry, asked):
        url = web.url(host="www.example.test")
        conditions = ["[DOMAIN_EXPIRATION] > 720h"]
        outcome = await probe(url, conditions=conditions, lookup=lambda _host: ("127.0.0.1",))
        again = await probe(url, conditions=conditions, lookup=lambda _host: ("127.0.0.1",))
    rdap.forget()

    assert (outcome.error_code, again.error_code) == (code, code)
    said = outcome.details["conditions"][1]
    assert {**said, "text": re.sub(r"h\d+m(\d+s)?\)", "h)", said["text"])} == {"text": shown, "ok": not code}
    assert asked == ["/dns.json", "/rdap/domain/www.example.test"]


async def test_registry_that_does_not_answer_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rdap.forget()
    with serving(saying(answer())) as web, registry(monkeypatch, lambda _path: answer(429)):
        url = web.url(host="www.example.test")
        outcome = await probe(url, conditions=["[DOMAIN_EXPIRATION] > 1h"], lookup=lambda _host: ("127.0.0.1",))
    rdap.forget()

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "rdap_limited")


@pytest.mark.parametrize(
    ("status", "settings", "code"),
    [
        (500, {}, "status_mismatch"),
        (200, {"present": ["nowhere in it"]}, "keyword_missing"),
        (200, {"conditions": ["[DOMAIN_EXPIRATION] > 1h", "[STATUS] == 204"]}, "condition_failed"),
    ],
)
async def test_target_is_down_whatever_its_registry_does(
    monkeypatch: pytest.MonkeyPatch, status: int, settings: dict[str, Any], code: str
) -> None:
    rdap.forget()
    settings = {"conditions": ["[DOMAIN_EXPIRATION] > 1h"], **settings}
    with serving(saying(answer(status))) as web, registry(monkeypatch, lambda _path: answer(429)):
        outcome = await probe(web.url(host="www.example.test"), lookup=lambda _host: ("127.0.0.1",), **settings)
    rdap.forget()

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)
    assert "DOMAIN_EXPIRATION" not in str(outcome.details)  # nothing is known of it


async def test_every_assertion_is_shown_with_what_was_seen() -> None:
    with serving(saying(answer(200, BODY, Content_Type="application/json"))) as web:
        outcome = await probe(
            web.url(),
            present=["UP"],
            json_rules=["$.version == 8"],
            conditions=["[BODY].status == DOWN", "[STATUS] < 300"],
        )

    assert (outcome.error_code, outcome.error_values) == ("json_mismatch", {"rule": "$.version == 8", "seen": "7"})
    assert outcome.details == {
        "conditions": [
            {"text": "200 in 200-299", "ok": True},
            {"text": "“UP”", "ok": True},
            {"text": "$.version == 8 (7)", "ok": False},
            {"text": "[BODY].status (UP) == DOWN", "ok": False},
            {"text": "[STATUS] < 300", "ok": True},
        ]
    }


async def test_details_stay_small_and_keep_what_failed() -> None:
    lines = [f"[BODY].{'x' * 300}{number} == {number}" for number in range(30)]
    with serving(saying(answer(200, BODY))) as web:
        outcome = await probe(web.url(), present=["UP"] * 30, conditions=lines)

    shown = outcome.details["conditions"]
    assert len(json.dumps(outcome.details)) < 4_096
    assert {entry["ok"] for entry in shown} == {False}


async def test_slow_answer_fails_its_limit() -> None:
    def slowly(connection: socket.socket, _request: bytes) -> None:
        time.sleep(0.1)
        connection.sendall(answer())

    with serving(slowly) as web:
        outcome = await probe(web.url(), max_response_ms=20)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "response_too_slow")
    assert outcome.error_values["limit"] == 20


@pytest.mark.parametrize(
    ("body", "settings", "code"),
    [
        (b"[" * 1_000_000, {"json_rules": ["$..a exists"]}, "json_unreadable"),
        (b"[" * 1_000_000, {"conditions": ["[BODY].a == 1"]}, "condition_failed"),
        (b"[" * 1_000_000, {"json_schema": "{}"}, "json_unreadable"),
        (b"[" + b"[1]," * 250_000 + b"1]", {"json_rules": ["$..* count >= 1"]}, "json_too_slow"),
        (b"[" + b'"x",' * 250_000 + b"1]", {"json_schema": '{"items": {"type": "string"}}'}, "schema_too_slow"),
        (b"a" * 1_000_000, {"patterns": ["(a|aa)+[xy]$"]}, "pattern_too_slow"),
        (b"a" * 1_000_000, {"conditions": ["[BODY] == pat(*" + "a" * 300 + "b)"]}, "condition_failed"),
        (b"{" + b'"a":{' * 200 + b"}" * 201, {"json_rules": ["$..zz exists"]}, "json_unreadable"),
        (b'"' + b"a" * 900_000 + b'"', {"json_rules": ["$ ~ (a|aa)+[xy]$"]}, "json_too_slow"),
    ],
)
async def test_bomb_costs_little(body: bytes, settings: dict[str, Any], code: str) -> None:
    with serving(saying(answer(200, body))) as web:
        began = time.process_time()
        outcome = await probe(web.url(), **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)
    assert time.process_time() - began < 2.5


async def test_header_flood_is_stopped_where_headers_are_kept() -> None:
    flood = b"\r\n".join(b"X-%d: y" % number for number in range(20_000))
    with serving(saying(b"HTTP/1.1 200 OK\r\n" + flood + b"\r\n\r\nok")) as web:
        outcome = await probe(web.url(), header_rules=["X-1: exists"])

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "header_flood")
