"""The NTP check against chrony, and against servers that lie."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.checks.enums import Verdict
from apps.checks.types import ntp
from apps.checks.types.base import Outcome
from apps.core import clock
from tests.checks.types.asking import ask
from tests.peers.talker import answering
from tests.peers.timeserver import time_server


async def test_good_server_tells_the_time_and_how_sure_it_is(tmp_path: Path) -> None:
    with time_server(tmp_path) as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port, max_dispersion_ms=1_000)

    facts = outcome.details
    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert (facts["stratum"], facts["root_delay_ms"]) == (3, 0.0)
    assert facts["delay_ms"] > 0
    _assert_offset(outcome, 0.0)
    assert outcome.first_byte_ms is not None


async def test_stratum_above_the_limit_fails(tmp_path: Path) -> None:
    with time_server(tmp_path, extra="local stratum 9") as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port, max_stratum=4)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "ntp_stratum")
    assert outcome.error_values == {"stratum": 9, "limit": 4}


async def test_server_without_a_source_is_not_synchronised(tmp_path: Path) -> None:
    with time_server(tmp_path, extra="") as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "ntp_unsynchronised")


def _saying(
    *,
    offset: float = 0.0,
    stratum: int = 2,
    leap: int = 0,
    reference: bytes = b"\x0a\0\0\1",
    dispersion: float = 0.0,
    cookie: int | None = None,
) -> Callable[[bytes], list[bytes]]:
    def answer(request: bytes) -> list[bytes]:
        asked = struct.unpack("!Q", request[40:48])[0] if cookie is None else cookie
        now = int((clock.now().timestamp() + offset + 2_208_988_800) * 2**32) & (2**64 - 1)
        head = struct.pack("!BBbbII4s", leap << 6 | 4 << 3 | 4, stratum, 0, 0, 0, int(dispersion * 65_536), reference)
        return [head + struct.pack("!QQQQ", 0, asked, now, now)]

    return answer


def _assert_offset(outcome: Outcome, seconds: float) -> None:
    """Of a clock nothing can be known beyond half of the time that asking took."""
    facts = outcome.details
    assert facts["offset_ms"] == pytest.approx(seconds * 1_000, abs=facts["delay_ms"] / 2 + 1)


@pytest.mark.parametrize("offset", [2.0, -2.0])
async def test_wrong_clock_is_measured(offset: float) -> None:
    async with answering(_saying(offset=offset)) as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port)

    assert (outcome.error_code, outcome.error_values["limit"]) == ("ntp_offset", 500)
    _assert_offset(outcome, offset)
    assert outcome.details["reference"] == "10.0.0.1"


async def test_time_beyond_2036_is_read_in_its_era() -> None:
    async with answering(_saying(offset=20 * 365.25 * 86_400)) as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port)

    assert outcome.error_code == "ntp_offset"
    _assert_offset(outcome, 20 * 365.25 * 86_400)


@pytest.mark.parametrize(
    ("said", "code", "values"),
    [
        ({"stratum": 0, "reference": b"RATE"}, "ntp_refused", {"code": "RATE"}),
        ({"stratum": 0, "reference": b"DENY"}, "ntp_refused", {"code": "DENY"}),
        ({"stratum": 0, "reference": b"INIT", "leap": 3}, "ntp_unsynchronised", {}),
        ({"stratum": 0, "reference": b"STEP"}, "ntp_unsynchronised", {}),
        ({"leap": 3}, "ntp_unsynchronised", {}),
        ({"stratum": 16}, "ntp_unsynchronised", {}),
        ({"dispersion": 2.0}, "ntp_dispersion", {"dispersion": "2000", "limit": 100}),
    ],
)
async def test_doubtful_answers_are_named(
    said: dict[str, int | float | bytes], code: str, values: dict[str, str | int]
) -> None:
    async with answering(_saying(**said)) as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port, max_dispersion_ms=100)

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (Verdict.FAILURE, code, values)


async def test_lost_request_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntp, "TRY_SECONDS", 2.0)
    heard: list[bytes] = []

    def second_time(request: bytes) -> list[bytes]:
        heard.append(request)
        return _saying()(request) if len(heard) > 1 else []

    async with answering(second_time) as port:
        outcome = await ask("ntp", host="127.0.0.1", port=port)

    assert (outcome.verdict, len(heard)) == (Verdict.SUCCESS, 2)


async def test_forged_and_short_answers_do_not_count() -> None:
    async with answering(_saying(cookie=1)) as port:
        forged = await ask("ntp", host="127.0.0.1", port=port, timeout=2)
    async with answering(lambda _request: [b"no time"]) as port:
        short = await ask("ntp", host="127.0.0.1", port=port)

    assert (forged.error_code, short.error_code) == ("transfer_timeout", "wrong_protocol")


async def test_closed_port_and_private_address() -> None:
    assert (await ask("ntp", host="127.0.0.1", port=9)).error_code == "connect_refused"
    refused = await ask("ntp", host="127.0.0.1", allow_private=False)
    assert (refused.error_code, refused.error_values["reason"]) == ("address_forbidden", "loopback")
