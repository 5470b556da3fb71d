"""The UDP check: answers, wrong answers, silence and refusal."""

import pytest
from django.core.exceptions import ValidationError

from apps.checks.enums import Verdict
from apps.checks.types.udp import UdpConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.peers.process import free_port
from tests.peers.talker import answering


async def test_answer_with_the_expected_bytes_is_good() -> None:
    async with answering(lambda data: [b"\xff" + data]) as port:
        outcome = await ask("udp", host="127.0.0.1", port=port, payload="\\x01ping", expected="\\xff\\x01ping")

    assert (outcome.verdict, outcome.error_code, outcome.body_bytes) == (Verdict.SUCCESS, "", 6)
    assert outcome.first_byte_ms is not None
    assert outcome.details == {"heard": "� ••••"}  # what is sent is a secret, whoever repeats it


async def test_any_answer_will_do_where_none_is_named() -> None:
    async with answering(lambda _data: [b"\n"]) as port:
        outcome = await ask("udp", host="127.0.0.1", port=port, payload="x")

    assert outcome.verdict == Verdict.SUCCESS


async def test_stray_datagrams_before_the_answer_are_passed_over() -> None:
    async with answering(lambda _data: [b"late", b"pong"]) as port:
        outcome = await ask("udp", host="127.0.0.1", port=port, payload="ping", expected="pong")

    assert (outcome.verdict, outcome.details) == (Verdict.SUCCESS, {"heard": "pong"})


async def test_wrong_answer_is_shown() -> None:
    async with answering(lambda _data: [b"nope"]) as port:
        outcome = await ask("udp", host="127.0.0.1", port=port, payload="ping", expected="pong", timeout=2)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "udp_answer_unmet")
    assert outcome.error_values == {"expected": "pong", "heard": "nope"}


async def test_silence_fails_only_where_an_answer_is_needed() -> None:
    async with answering(lambda _data: []) as port:
        needed = await ask("udp", host="127.0.0.1", port=port, payload="x", timeout=0.3)
        unneeded = await ask("udp", host="127.0.0.1", port=port, payload="x", needs_answer=False, timeout=0.3)

    assert (needed.verdict, needed.error_code) == (Verdict.FAILURE, "timeout")
    assert unneeded.verdict == Verdict.SUCCESS


async def test_closed_port_is_refused_either_way() -> None:
    for needs_answer in (True, False):
        outcome = await ask("udp", host="127.0.0.1", port=free_port(), payload="x", needs_answer=needs_answer)

        assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "connect_refused")


async def test_flood_of_wrong_answers_is_cut_off() -> None:
    async with answering(lambda _data: [b"x" * 60_000] * 20) as port:
        outcome = await ask("udp", host="127.0.0.1", port=port, payload="x", expected="never", timeout=1)

    assert outcome.error_code in {"answer_too_large", "udp_answer_unmet"}


async def test_private_address_is_refused() -> None:
    outcome = await ask("udp", host="127.0.0.1", port=9, payload="x", allow_private=False)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")


@pytest.mark.parametrize("payload", ["\\q", "end\\", "\\x1"])
def test_unknown_escape_is_refused(payload: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(UdpConfig, {"host": "a.example", "port": 1, "payload": payload})

    assert list(caught.value.errors) == ["payload"]


def test_expected_answer_needs_one() -> None:
    with pytest.raises(ValidationError):
        UdpConfig(host="a.example", port=1, payload="x", expected="y", needs_answer=False).clean()
