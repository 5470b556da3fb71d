"""Targets that nobody may reach through us, however they are spelled."""

import pytest

from apps.checks.enums import Verdict
from tests.checks.engine.probing import job, probe, probe_all
from tests.peers.web import answer, saying, serving


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"]
)
async def test_loopback_is_refused_without_the_right(host: str) -> None:
    with serving(saying(answer())) as web:
        outcome = await probe(web.url(host=host), allow_private=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "address_forbidden")
    assert outcome.error_values["reason"] == "loopback"
    assert web.connections == 0


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]"])
async def test_same_spellings_work_with_the_right(host: str) -> None:
    with serving(saying(answer())) as web:
        outcome = await probe(web.url(host=host), allow_private=True)

    assert outcome.verdict == Verdict.SUCCESS
    assert web.connections == 1


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (("127.0.0.1",), "loopback"),
        (("10.0.0.1",), "private"),
        (("::ffff:127.0.0.1",), "loopback"),
        (("64:ff9b::7f00:1",), "loopback"),
        (("169.254.169.254",), "metadata"),
        (("0.0.0.0",), "unspecified"),
    ],
)
async def test_name_is_judged_by_its_addresses(addresses: tuple[str, ...], reason: str) -> None:
    outcome = await probe("http://innocent.example/", allow_private=False, lookup=lambda _host: addresses)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "address_forbidden")
    assert outcome.error_values["reason"] == reason


async def test_name_that_changes_its_address_cannot_slip_through() -> None:
    """Rebinding: whatever the name answered before, the address that is connected to is judged."""
    answers = [("203.0.113.7",), ("127.0.0.1",), ("169.254.169.254",)]
    asked: list[str] = []

    def rebinding(host: str) -> tuple[str, ...]:
        asked.append(host)
        return answers[len(asked) % len(answers)]

    with serving(saying(answer())) as web:
        names = [f"rebind{number}.example" for number in range(60)]
        outcomes = await probe_all(
            [job(name, web.url(host=name), allow_private=False) for name in names], lookup=rebinding
        )

    assert len(outcomes) == 60
    assert {outcome.error_code for outcome in outcomes.values()} == {"address_forbidden"}
    assert web.connections == 0


async def test_redirect_by_name_is_judged_too() -> None:
    def lookup(host: str) -> tuple[str, ...]:
        return ("169.254.169.254",) if host == "inner.example" else ("127.0.0.1",)

    with serving(saying(answer(302, b"", Location="http://inner.example/"))) as web:
        outcome = await probe(web.url(host="outer.example"), lookup=lookup)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "metadata")


async def test_right_of_one_check_does_not_open_the_way_for_another() -> None:
    with serving(saying(answer())) as web:
        jobs = [job((number, right), web.url(), allow_private=right) for number in range(20) for right in (True, False)]
        outcomes = await probe_all(jobs)

    assert {outcome.verdict for (_n, right), outcome in outcomes.items() if right} == {Verdict.SUCCESS}
    assert {outcome.error_code for (_n, right), outcome in outcomes.items() if not right} == {"address_forbidden"}
    assert web.connections == 20


async def test_forbidden_address_of_a_name_is_passed_over_for_a_good_one() -> None:
    with serving(saying(answer())) as web:
        outcome = await probe(web.url(host="two.example"), lookup=lambda _host: ("169.254.169.254", "127.0.0.1"))

    assert (outcome.verdict, outcome.remote_ip) == (Verdict.SUCCESS, "127.0.0.1")
