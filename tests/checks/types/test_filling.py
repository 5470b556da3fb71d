"""Values put into the texts of a step: where they go, and that they come to no more than can be sent and compared."""

import json
import socket
from typing import Any

import pytest

from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.filling import Filling
from tests.checks.types.asking import ask
from tests.peers.web import answer, saying, serving


@pytest.mark.parametrize(
    ("second", "room"),
    [
        ({"conditions": ["{{a}}" * 98 + " == 1"]}, 33_000),
        ({"method": "POST", "body": "{{a}}" * 5_000}, 100_000),
        ({"method": "POST", "body": [{"{{a}}": "{{ a }}"}] * 2_000}, 100_000),
        ({"headers": {f"X-{number}": "{{a}}" for number in range(20)}}, 100_000),
    ],
)
async def test_values_that_come_to_too_much_are_not_put_in(second: dict[str, Any], room: int) -> None:
    def lead(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(answer(200, json.dumps({"a": "[BODY]" * 1_300}).encode()))

    with serving(lead) as web:
        first = {"url": web.url(), "extract": {"a": "json: $.a"}}
        outcome = await ask("multistep", steps=[first, {"name": "Two", "url": web.url("/two"), **second}])

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "step_unusable")
    said = f"The values come to more than {room} characters."
    assert outcome.error_values == {"detail": said, "in_step": "Two"}
    assert len(web.asked) == (2 if "conditions" in second else 1)


async def test_longest_value_still_stands_in_every_place() -> None:
    value = "ä" * 8_000

    def lead(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(answer(200, json.dumps({"a": value}).encode()))

    with serving(lead) as web:
        first = {"url": web.url(), "extract": {"a": "json: $.a"}}
        second = {
            "url": web.url(),
            "method": "POST",
            "headers": {"X-A": "{{a}}"},
            "body": {"a": "{{a}}"},
            "conditions": ["[BODY].a == {{a}}", "{{a}} != 5"],
        }
        outcome = await ask("multistep", steps=[first, second])

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert json.loads(web.asked[1].partition(b"\r\n\r\n")[2]) == {"a": value}


async def test_two_of_the_longest_secrets_stand_in_one_condition() -> None:
    one, other = "a" * 16_000, "b" * 16_000
    steps = [{"url": "", "conditions": ["[BODY].x == {{one}}{{other}}", "[BODY].y != pat(*{{one}}{{other}}*)"]}]

    with serving(saying(answer(200, json.dumps({"x": one + other, "y": "y"}).encode()))) as web:
        steps[0]["url"] = web.url()
        outcome = await walk(steps, one=one, other=other)

    assert outcome.error_code == ""


@pytest.mark.parametrize(
    "value",
    ["pat(*)", "any(1, 2)", "[BODY].other", "[STATUS]", "len([BODY].list)", "a == b", "a != b", "[BODY].list[*]"],
)
@pytest.mark.parametrize("condition", ["[BODY].id == {{id}}", "{{ id }} == [BODY].id"])
async def test_value_is_the_text_that_it_is(condition: str, value: str) -> None:
    assert (await compared(condition, value, {"id": value})).error_code == ""
    for other in ("x", "200", "1", "a", value + "x"):
        body = {"id": other, "other": other, "list": [other]}
        assert (await compared(condition, value, body)).error_code == "condition_failed"
        assert (await compared(condition.replace("==", "!="), value, body)).error_code == ""


@pytest.mark.parametrize(
    ("condition", "value", "ok"),
    [
        ("[BODY] == pat(*{{id}}*)", "two", True),
        ("[BODY] == pat(*{{id}}*)", "three", False),
        ("[BODY] != pat(*{{id}}*)", "three", True),
        ("[BODY] == pat(*{{id}}*)", "a*b[1]?", True),
        ("[BODY] != pat(*{{id}}*)", "a*b[1]?", False),
        ("[BODY] == pat(*{{id}}*)", "*", True),
        ("[BODY].list == pat(*{{id}}*)", "*", False),
        ("[BODY].list == pat({{id}})", "?two?", False),
        ("[BODY] == pat(*{{id}}*)", "x" * 1_200, False),
        ("[BODY] != pat(*{{id}}*)", "x" * 1_200, True),
        ("[BODY] == pat(?*{{id}}*)", "x" * 1_200, False),
        ("[BODY] != pat(?*{{id}}*)", "x" * 1_200, False),
        ("[BODY].{{id}} == one", "other.part", True),
        ("[BODY].{{ id }}[*] == two", "list", True),
        ("len([BODY].{{id}}) == 1", "list", True),
        ("has([BODY].{{id}}) == false", "none", True),
        ("[HEADER].{{id}} > 5", "Content-Length", True),
        ("[BODY].list[0] == any(one, {{id}})", "two", True),
        ("[BODY].number < {{id}}", "1m", True),
    ],
)
async def test_value_is_put_into_what_is_written(condition: str, value: str, ok: bool) -> None:
    body = {"sign": "a*b[1]?", "other": {"part": "one"}, "list": ["two"], "number": "59s"}

    outcome = await compared(condition, value, body)

    assert outcome.error_code == ("" if ok else "condition_failed")


async def compared(condition: str, value: str, body: Any) -> Outcome:
    with serving(saying(answer(200, json.dumps(body).encode()))) as web:
        return await walk([{"url": web.url(), "conditions": [condition]}], id=value)


async def walk(steps: list[dict[str, Any]], **secrets: str) -> Outcome:
    return await ask("multistep", steps=steps, secrets=secrets)


def test_address_may_begin_with_any_number_of_values() -> None:
    filling = Filling({"base": "https://x.example/a?", "path": "b/c"})

    assert filling.url("{{base}}{{path}}/{{path}}") == "https://x.example/a?b/c/b%2Fc"
    assert Filling({"a": "b"}).url("{{a}}" * 5_000) == "b" * 5_000
