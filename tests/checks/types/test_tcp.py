"""The TCP check: connecting, following a script, and servers that do not keep to it."""

import asyncio
import ssl

import pytest
from django.core.exceptions import ValidationError

from apps.checks.enums import Verdict
from apps.checks.types.script import Expect, Send, StartTls, parse_script, unescaped
from apps.checks.types.tcp import TcpConfig
from tests.checks.types.asking import ask
from tests.peers.talker import endless, saying, silent, talking

DIALOGUE = """
# a greeting, a question
expect "220 "
expect /ready (?P<word>[a-z]+)/
send "HELP\\r\\n"

expect /^\\d+ helpful/
"""


async def _helpful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"22")
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(b"0 here, ready now")
    assert await reader.readline() == b"HELP\r\n"
    writer.write(b"214 helpful\r\n")
    await writer.drain()


async def test_open_port_is_enough_without_a_script() -> None:
    async with talking(silent) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port)

    assert (outcome.verdict, outcome.error_code, outcome.remote_ip) == (Verdict.SUCCESS, "", "127.0.0.1")
    assert outcome.connect_ms is not None
    assert outcome.total_ms is not None
    assert outcome.first_byte_ms is None


async def test_script_is_followed_step_by_step() -> None:
    async with talking(_helpful) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, script=DIALOGUE)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {"heard": "214 helpful"}
    assert outcome.first_byte_ms is not None
    assert outcome.transfer_ms is not None


async def test_pattern_goes_by_lines() -> None:
    """As the sample does, and scripts from elsewhere: what was heard before ends in the middle of a line."""
    script = 'expect "220 "\nsend "EHLO a\\r\\n"\nexpect /^250-STARTTLS\\r?$/\nsend "QUIT\\r\\n"\nexpect /^221/'
    said = [b"220 mail.example.com ready\r\n", b"250-mail\r\n250-STARTTLS\r\n250 X\r\n", b"221 bye\r\n"]
    async with talking(saying(*said)) as port:
        good = await ask("tcp", host="127.0.0.1", port=port, script=script)
    async with talking(saying(*said)) as port:
        inner = await ask("tcp", host="127.0.0.1", port=port, script='expect "220 "\nexpect /^221 never/')

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert inner.error_code == "script_unmet"


async def test_other_words_are_shown_beside_what_was_expected() -> None:
    async with talking(saying(b"554 go away\r\n")) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, script='expect "220 "')

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "script_unmet")
    assert outcome.error_values == {"step": 1, "expected": '"220 "', "heard": "554 go away"}


async def test_half_an_answer_is_shown_once_the_time_is_up() -> None:
    async with talking(saying(b"22", then_waits=True)) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, script='expect "220 "', timeout=2)

    assert (outcome.error_code, outcome.error_values["heard"]) == ("script_unmet", "22")


async def test_silence_and_a_closed_door_have_their_names() -> None:
    async with talking(silent) as port:
        assert (await ask("tcp", host="127.0.0.1", port=port, script='expect "x"', timeout=2)).error_code == "timeout"
    assert (await ask("tcp", host="127.0.0.1", port=port)).error_code == "connect_refused"
    async with talking(saying()) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, script='expect "x"')
    assert outcome.error_code == "empty_response"


async def test_endless_banner_ends_at_the_limit() -> None:
    async with talking(endless) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, script='expect "never"')

    assert outcome.error_code == "script_unmet"
    assert outcome.error_values["heard"] == "x" * 199 + "…"
    assert outcome.body_bytes == 65_536


async def test_regex_bomb_costs_a_moment_only() -> None:
    async with talking(saying(b"a" * 60_000, then_waits=True)) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, script="expect /(a+)+(a+)+(a+)+$b/", timeout=5)

    assert outcome.error_code in {"script_pattern_slow", "script_unmet"}
    assert outcome.total_ms is not None
    assert outcome.total_ms < 30_000  # left alone, it would search for years


@pytest.mark.usefixtures("trusted")
async def test_tls_from_the_first_byte_and_by_starttls(server_tls: ssl.SSLContext) -> None:
    async def upgrade(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"go\n")
        await writer.start_tls(server_tls)
        writer.write(b"safe")

    async with talking(saying(b"hello"), tls=server_tls) as port:
        direct = await ask("tcp", host="localhost", port=port, tls=True, script='expect "hello"')
        mismatch = await ask("tcp", host="127.0.0.1", port=port, tls=True)
        unverified = await ask("tcp", host="127.0.0.1", port=port, tls=True, verify_tls=False)
        renamed = await ask("tcp", host="127.0.0.1", port=port, tls=True, server_name="localhost")
    async with talking(upgrade) as port:
        later = await ask("tcp", host="localhost", port=port, script='expect "go\\n"\nstarttls\nexpect "safe"')

    assert (direct.verdict, direct.details["tls_version"]) == (Verdict.SUCCESS, "TLSv1.3")
    assert direct.tls_ms is not None
    assert direct.cert_expires_at is not None
    assert (mismatch.verdict, mismatch.error_code) == (Verdict.FAILURE, "tls_name_mismatch")
    assert (unverified.verdict, renamed.verdict) == (Verdict.SUCCESS, Verdict.SUCCESS)
    assert (later.verdict, later.error_code) == (Verdict.SUCCESS, "")


async def test_half_open_tls_times_out_in_its_phase() -> None:
    async with talking(silent) as port:
        outcome = await ask("tcp", host="127.0.0.1", port=port, tls=True, timeout=2)

    assert (outcome.error_code, outcome.tls_ms) == ("tls_timeout", None)
    assert outcome.connect_ms is not None


async def test_private_address_is_refused() -> None:
    async with talking(silent) as port:
        outcome = await ask("tcp", host="localhost", port=port, allow_private=False)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")


def test_script_is_read_with_its_escapes() -> None:
    steps = parse_script('send "a\\"b\\x00\\\\\\r\\n"\nexpect /a b/\nexpect "ü"\nstarttls')

    assert steps == (
        Send(b'a"b\x00\\\r\n'),
        Expect("/a b/", pattern="a b"),
        Expect('"ü"', text="ü".encode()),
        StartTls(),
    )
    assert unescaped("\\t\\0\\n") == b"\t\x00\n"


@pytest.mark.parametrize(
    "script",
    ["say hello", 'send "open', 'send "a" b', 'expect ""', "expect //", 'send "\\q"', "starttls now", "expect /(/"],
)
def test_script_that_cannot_be_read_is_refused(script: str) -> None:
    with pytest.raises(ValidationError):
        parse_script(script)


def test_script_has_an_end_and_secures_once() -> None:
    with pytest.raises(ValidationError):
        parse_script('send "x"\n' * 51)
    with pytest.raises(ValidationError):
        TcpConfig(host="a.example", port=1, tls=True, script="starttls").clean()
    with pytest.raises(ValidationError):
        TcpConfig(host="a.example", port=1, script="starttls\nstarttls").clean()


def test_script_with_too_many_steps_is_not_read_to_its_end() -> None:
    with pytest.raises(ValidationError) as refused:
        parse_script('send "x"\n' * 51 + "what nobody can read")

    assert refused.value.messages == ["At most 50 steps fit."]
