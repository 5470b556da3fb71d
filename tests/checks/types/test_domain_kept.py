"""What a registry said is kept for a while, so that its own troubles are not taken for the domain's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.checks.enums import Verdict
from apps.checks.types import rdap
from apps.checks.types.http_visit import Visit
from tests.checks.types.asking import ask
from tests.checks.types.registries import always, registered, registry, until_in
from tests.peers.web import answer


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    rdap.forget()
    yield
    rdap.forget()


@pytest.mark.parametrize(
    ("status", "code", "seconds"),
    [(500, "rdap_unreadable", rdap.FAILURE_SECONDS), (429, "rdap_limited", rdap.RECORD_SECONDS)],
)
async def test_registry_in_trouble_is_not_asked_at_every_probe(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, seconds: int
) -> None:
    monkeypatch.setattr(rdap, "monotonic", lambda: now)
    now = 1_000_000.0
    with registry(monkeypatch, lambda _path: answer(status)) as (_web, asked):
        first = await ask("domain", domain="example.test")
        now += seconds - 1
        second = await ask("domain", domain="example.test")
        asked_before = len(asked)
        now += 2
        await ask("domain", domain="example.test")

    assert (first.verdict, first.error_code) == (second.verdict, second.error_code) == (Verdict.UNKNOWN, code)
    assert second.error_values == first.error_values
    assert (asked_before, len(asked)) == (2, 3)


async def test_one_stray_not_found_does_not_confirm_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = [answer(404, b"{}"), answer(200, json.dumps(registered(until_in(400))).encode())]
    with registry(monkeypatch, lambda _path: replies.pop(0)):
        first = await ask("domain", domain="example.test")
        second = await ask("domain", domain="example.test")

    assert (first.verdict, first.error_code) == (Verdict.FAILURE, "domain_unregistered")
    assert (second.verdict, second.error_code) == (Verdict.SUCCESS, "")


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [
        (answer(500), rdap.FAILURE_SECONDS),
        (b"", rdap.FAILURE_SECONDS),
        (answer(429), rdap.RECORD_SECONDS),
    ],
)
async def test_what_was_known_stands_in_for_a_registry_in_trouble(
    monkeypatch: pytest.MonkeyPatch, failed: bytes, seconds: int
) -> None:
    monkeypatch.setattr(rdap, "monotonic", lambda: now)
    now, reply = 1_000_000.0, answer(200, json.dumps(registered(until_in(400))).encode())
    with registry(monkeypatch, lambda _path: reply) as (_web, asked):
        first = await ask("domain", domain="example.test")
        reply = failed
        now += rdap.RECORD_SECONDS + 1
        refreshed = await ask("domain", domain="example.test")
        now += seconds - 1
        again = await ask("domain", domain="example.test")
        asked_before = len(asked)
        now += 2
        await ask("domain", domain="example.test")

    assert {outcome.verdict for outcome in (first, refreshed, again)} == {Verdict.SUCCESS}
    assert first.details == refreshed.details == again.details
    assert (asked_before, len(asked)) == (3, 4)


async def test_what_was_known_yesterday_stands_in_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdap, "monotonic", lambda: now)
    now, reply = 1_000_000.0, answer(200, json.dumps(registered(until_in(400))).encode())
    with registry(monkeypatch, lambda _path: reply):
        await ask("domain", domain="example.test")
        reply = answer(429)
        now += rdap.OLDEST_SECONDS - 10
        kept = await ask("domain", domain="example.test")
        now += 11
        old = await ask("domain", domain="example.test")

    assert (kept.verdict, kept.error_code) == (Verdict.SUCCESS, "")
    assert (old.verdict, old.error_code) == (Verdict.UNKNOWN, "rdap_limited")


async def test_not_found_is_believed_over_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdap, "monotonic", lambda: now)
    now, reply = 1_000_000.0, answer(200, json.dumps(registered(until_in(400))).encode())
    with registry(monkeypatch, lambda _path: reply):
        await ask("domain", domain="example.test")
        now += rdap.RECORD_SECONDS + 1
        reply = answer(404, b"{}")
        gone = await ask("domain", domain="example.test")
        reply = answer(500)
        unclear = await ask("domain", domain="example.test")

    assert (gone.verdict, gone.error_code) == (Verdict.FAILURE, "domain_unregistered")
    assert (unclear.verdict, unclear.error_code) == (Verdict.UNKNOWN, "rdap_unreadable")


async def test_own_fault_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = 0

    async def visit(*args: Any, **options: Any) -> Visit:
        nonlocal visits
        visits += 1
        seen = await real(*args, **options)
        return seen._replace(code="own_fault", is_ours=True) if visits == 2 else seen

    real = rdap.visit
    monkeypatch.setattr(rdap, "visit", visit)
    with registry(monkeypatch, always(registered(until_in(400)))):
        first = await ask("domain", domain="example.test")
        second = await ask("domain", domain="example.test")

    assert (first.verdict, first.error_code) == (Verdict.UNKNOWN, "rdap_unreachable")
    assert (second.verdict, second.error_code) == (Verdict.SUCCESS, "")


async def test_question_cut_short_says_nothing_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = True

    def reply(_path: str) -> bytes:
        if slow:
            web.stopped.wait(rdap.FAIR_SECONDS)
        return answer(200, json.dumps(registered(until_in(400))).encode())

    with registry(monkeypatch, reply) as (web, _asked):
        first = await ask("domain", domain="example.test", timeout=1)
        slow = False
        second = await ask("domain", domain="example.test")

    assert (first.error_code, second.error_code) == ("rdap_unreachable", "")
