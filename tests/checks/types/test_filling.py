"""Values put into the texts of a step: where they go, and that they come to no more than can be sent and compared."""

import json
import socket
from typing import Any

import pytest

from apps.checks.enums import Verdict
from apps.checks.types.filling import Filling
from tests.checks.types.asking import ask
from tests.peers.web import answer, serving


@pytest.mark.parametrize(
    ("second", "room"),
    [
        ({"conditions": ["{{a}}" * 98 + " == 1"]}, 10_000),
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


def test_address_may_begin_with_any_number_of_values() -> None:
    filling = Filling({"base": "https://x.example/a?", "path": "b/c"})

    assert filling.url("{{base}}{{path}}/{{path}}") == "https://x.example/a?b/c/b%2Fc"
    assert Filling({"a": "b"}).url("{{a}}" * 5_000) == "b" * 5_000
