"""Answers and rules made to break what judges them, to keep it busy, or to have secrets shown: each ends as a verdict."""

import encodings
import json
from base64 import b64encode
from time import thread_time
from typing import Any

import pytest

from apps.checks.domain.wire_fields import document
from apps.checks.enums import Verdict
from apps.checks.types.answers import Answer
from apps.checks.types.assertions import condition_holds, has_text, json_keeps, judge_each, schema_holds
from apps.checks.types.effort import Effort, TooMuchWork, go_on
from apps.core.http.curl import Reply
from tests.checks.engine.probing import probe
from tests.checks.types.asking import ask
from tests.peers.web import answer, serving
from tests.peers.web import saying as says

SECONDS = 3.0  # of processor time: many times what is allowed, a small part of what it took
TEXTS = b'{"a": [' + b",".join([b'"abcdefgh"'] * 90_000) + b"]}"


def answered(body: bytes, content_type: str = "application/json") -> Answer:
    return Answer(Reply(None, 200, "1.1", "", body, False, content_type, "", None, 0, 0, 0, 0, 0, 0), 1.0)


@pytest.mark.parametrize(
    ("body", "settings", "code"),
    [
        (rb'{"a": "\ud800"}', {"conditions": ["[BODY].a == x"]}, "condition_failed"),
        (rb'{"a": "\ud800"}', {"conditions": ["len([BODY].a) == 9"]}, "condition_failed"),
        (rb'{"a": "x\u0000y"}', {"conditions": ["[BODY].a == x"]}, "condition_failed"),
        (rb'{"a": "\ud800\u0000"}', {"json_rules": ["$.a == x"]}, "json_mismatch"),
        (rb'{"a": "\ud800"}', {"json_schema": '{"properties": {"a": {"pattern": "b"}}}'}, "schema_mismatch"),
        (b'{"a": {"x": 1}}', {"json_rules": ["$.a contains [1]"]}, "json_mismatch"),
        (b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}", {"conditions": ["[BODY].a == x"]}, "condition_failed"),
        (b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}", {"json_rules": ["$.a == 1"]}, "json_mismatch"),
    ],
)
async def test_answer_that_broke_a_judge_is_judged(body: bytes, settings: dict[str, Any], code: str) -> None:
    with serving(says(answer(200, body))) as web:
        outcome = await probe(web.url(), **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)
    # As an agent's results are judged: one that PostgreSQL refuses would cost its whole batch.
    assert document(20_000)(dict(outcome.details), "details") == outcome.details
    assert document(20_000)(dict(outcome.error_values), "error_values") == outcome.error_values


@pytest.mark.parametrize("source", ["json: $.a", r"regex: (\w.*)"])
async def test_half_a_character_is_no_value_to_send_on(source: str) -> None:
    take = {"url": "", "extract": {"a": source}}
    with serving(says(answer(200, rb'{"a": "\ud800"}' if "json" in source else b"x\x00y"))) as web:
        take["url"] = web.url()
        use = {"url": web.url("/{{a}}"), "headers": {"X-A": "{{a}}"}}
        outcome = await ask("multistep", steps=[take, use])

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "extract_failed")


def test_one_is_not_true_in_a_list() -> None:
    assert json_keeps("$.a contains 1")(answered(b'{"a": [true]}')).code == "json_mismatch"
    assert json_keeps("$.a contains 1")(answered(b'{"a": [true, 1]}')).code == ""


def test_every_entry_of_a_long_list_is_judged() -> None:
    entries = [{"ok": True}] * 999

    judge = condition_holds("[BODY][*].ok == true")

    assert judge(answered(json.dumps(entries).encode())).code == ""
    assert judge(answered(json.dumps([*entries, {"ok": False}]).encode())).code == "condition_failed"


def test_lists_in_lists_in_lists_end() -> None:
    inner = [[1] * 200] * 50
    began = thread_time()

    found = condition_holds("[BODY][*][*][*] == 1")(answered(json.dumps([inner] * 40).encode()))

    assert (found.code, found.text) == ("condition_failed", "[BODY][*][*][*] == 1 (took too long)")
    assert thread_time() - began < SECONDS


@pytest.mark.parametrize(
    "digits", ["1" * 20_000, "1." * 10_000, "+" * 20_000, "1_" * 10_000], ids=["1", "1.", "+", "1_"]
)
@pytest.mark.parametrize("operator", ["<", "=="])
def test_twenty_thousand_digits_are_no_number(digits: str, operator: str) -> None:
    judge = condition_holds(f"[BODY].count {operator} 100")
    began = thread_time()

    found = judge(answered(json.dumps({"count": digits}).encode()))

    assert found.code == ("" if operator == "<" else "condition_failed")
    assert thread_time() - began < SECONDS


def test_very_many_bodies_in_a_condition_are_looked_at_once() -> None:
    began = thread_time()

    found = condition_holds("[BODY]" * 8_000 + " == 1")(answered(b"[]"))

    assert found.code == "condition_failed"
    assert thread_time() - began < SECONDS


def test_schema_that_writes_the_answer_out_again_and_again_ends() -> None:
    schema = json.dumps({"anyOf": [{"type": "string"}] * 3_000})
    judge = schema_holds(schema)
    judge(answered(b"{}"))  # which reads the schema
    began = thread_time()

    found = judge(answered(TEXTS))

    assert found.code == "schema_too_slow"
    assert thread_time() - began < SECONDS


def test_thirty_slow_rules_end_together() -> None:
    began = thread_time()

    findings = judge_each([json_keeps(f"$..*..x{number} exists") for number in range(30)], answered(TEXTS), Effort())

    assert findings[0].code == "json_too_slow"
    assert findings[-1].code == "judging_too_slow"
    assert len(findings) < 30
    assert thread_time() - began < SECONDS


def test_effort_is_spent_in_several_goes_and_never_beyond_what_is_around_it() -> None:
    little, much = Effort(0.0), Effort(100.0)

    with much:
        go_on()
        with pytest.raises(TooMuchWork), little:
            go_on()
        go_on()
    with pytest.raises(TooMuchWork), little, much:
        go_on()
    go_on()


def test_text_in_pythons_own_encodings_is_read_as_utf8() -> None:
    began = thread_time()

    text = answered(b"aa-" + b"ab9" * 100_000, "text/html; charset=punycode").text

    assert text.startswith("aa-ab9")
    assert thread_time() - began < SECONDS


def test_names_of_no_encoding_are_not_kept() -> None:
    looked_for = dict(encodings._cache)  # type: ignore[attr-defined]

    for number in range(3):
        assert answered(b"all well", f"text/html; charset=no-such-{number}").text == "all well"
        assert answered(b"all well", f"text/html; charset={number}{'x' * 300_000}").text == "all well"

    assert encodings._cache == looked_for  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("ISO-8859-1", b"\xe4"),
        ("latin1", b"\xe4"),
        ("windows-1252", b"\xe4"),
        ("iso_8859-1:1987", b"\xe4"),
        ("UTF8", b"\xc3\xa4"),
        ("utf-8-sig", b"\xef\xbb\xbf\xc3\xa4"),
        ("", b"\xc3\xa4"),
        ("base64", b"\xc3\xa4"),
        ("unicode-escape", b"\xc3\xa4"),
        ("utf-7", b"\xc3\xa4"),
        ("unicode-1-1-utf-7", b"\xc3\xa4"),
        ("undefined", b"\xc3\xa4"),
    ],
)
def test_encoding_is_known_by_any_of_its_names(charset: str, body: bytes) -> None:
    assert answered(body, f"text/html; charset={charset}").text == "ä"


def test_encodings_without_another_name_are_known() -> None:
    assert answered("їжак".encode("koi8-u"), 'text/html; charset="KOI8-U"').text == "їжак"


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-32", "shift_jis"])
def test_text_is_found_in_the_encoding_that_the_server_names(charset: str) -> None:
    reply = answered("all 日本 well".encode(charset), f"text/plain; charset={charset}").reply

    assert [has_text(reply, text) for text in ("all", "日本", "ill")] == [True, True, False]


SECRET = "swordfish-and-more"


@pytest.mark.parametrize(
    "settings",
    [
        {"headers": {"X-Key": SECRET}},
        {"auth": "bearer", "token": SECRET},
        {"auth": "basic", "username": "user", "password": SECRET},
        {"cookies": {"session": SECRET}},
    ],
)
async def test_what_a_server_repeats_is_hidden(settings: dict[str, Any]) -> None:
    packed = b64encode(f"user:{SECRET}".encode()).decode()

    def repeat(connection: Any, request: bytes) -> None:
        connection.sendall(answer(200, json.dumps({"said": request.decode(), "key": SECRET, "basic": packed}).encode()))

    with serving(repeat) as web:
        shown = [
            await ask("http", url=web.url(), **settings, **rules)
            for rules in (
                {"json_rules": ["$.key == x"]},
                {"json_rules": ["$.basic == x"]} if "password" in settings else {"json_rules": ["$['key','key'] == x"]},
                {"conditions": ["[BODY].key == x"]},
                {"json_schema": '{"properties": {"key": {"type": "number"}}}'},
            )
        ]

    for outcome in shown:
        text = f"{outcome.error_values} {outcome.details}"
        assert outcome.verdict == Verdict.FAILURE
        assert "••••" in text
        assert "swordf" not in text
        assert packed[:8] not in text


async def test_header_that_is_no_secret_stays_to_be_seen() -> None:
    with serving(says(answer(Content_Type="text/html"))) as web:
        outcome = await probe(web.url(), headers={"Accept": "text/html"}, header_rules=["Content-Type: ~ json"])

    assert outcome.error_values == {"rule": "Content-Type: ~ json", "seen": "text/html"}
