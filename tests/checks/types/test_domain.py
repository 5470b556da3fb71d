"""The domain check against a registry on this machine that answers as RFC 9083 has it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.checks.enums import Verdict
from apps.checks.types import rdap
from apps.checks.types.domain import DomainConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.checks.types.registries import always, registered, registry, until_in
from tests.peers.web import answer


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    rdap.forget()
    yield
    rdap.forget()


async def test_registration_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = until_in(400)
    with registry(monkeypatch, always(registered(ends))) as (_web, asked):
        outcome = await ask("domain", domain="Example.TEST", name_servers="ns2.example.net\nNS1.example.net.")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert asked == ["/dns.json", "/rdap/domain/example.test"]
    assert outcome.details == {
        "domain": "example.test",
        "registrar": "Reg Ltd",
        "status": ["active", "client transfer prohibited"],
        "name_servers": ["ns1.example.net", "ns2.example.net"],
        "registered_at": "2001-02-03T04:05:06+00:00",
        "expires_at": ends.isoformat(),
        "days_left": 400,
    }
    assert (outcome.status_code, outcome.cert_expires_at) == (200, None)
    assert outcome.first_byte_ms is not None


@pytest.mark.parametrize(
    ("days", "verdict", "code"),
    [
        (31, Verdict.SUCCESS, ""),
        (29, Verdict.DEGRADED, "domain_ends_soon"),
        (6, Verdict.FAILURE, "domain_ends_soon"),
        (-2, Verdict.FAILURE, "domain_expired"),
    ],
)
async def test_days_left_decide(monkeypatch: pytest.MonkeyPatch, days: int, verdict: Verdict, code: str) -> None:
    ends = until_in(days)
    with registry(monkeypatch, always(registered(ends))):
        outcome = await ask("domain", domain="example.test")

    assert (outcome.verdict, outcome.error_code) == (verdict, code)
    if code == "domain_ends_soon":
        assert outcome.error_values == {"days": days, "date": f"{ends:%Y-%m-%d}"}


async def test_registry_is_asked_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(monkeypatch, always(registered(until_in(400)))) as (_web, asked):
        first = await ask("domain", domain="example.test")
        second = await ask("domain", domain="example.test")
        await ask("domain", domain="other.test")

    assert (first.verdict, second.verdict, second.details) == (Verdict.SUCCESS, Verdict.SUCCESS, first.details)
    assert asked == ["/dns.json", "/rdap/domain/example.test", "/rdap/domain/other.test"]


async def test_name_inside_a_domain_leads_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(path: str) -> bytes:
        known = path == "domain/example.co.uk"
        return answer(200, json.dumps(registered(until_in(400))).encode()) if known else answer(404, b"{}")

    with registry(monkeypatch, reply) as (_web, asked):
        outcome = await ask("domain", domain="www.example.co.uk")

    assert (outcome.verdict, outcome.details["domain"]) == (Verdict.SUCCESS, "example.co.uk")
    assert asked[1:] == ["/rdap/domain/www.example.co.uk", "/rdap/domain/example.co.uk"]


@pytest.mark.parametrize("status", [400, 422])
async def test_name_below_a_registrable_one_may_be_refused(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    def reply(path: str) -> bytes:
        known = path == "domain/example.test"
        return answer(200, json.dumps(registered(until_in(400))).encode()) if known else answer(status, b"{}")

    with registry(monkeypatch, reply) as (_web, asked):
        outcome = await ask("domain", domain="www.example.test")
        refused = await ask("domain", domain="www.other.test")

    assert (outcome.verdict, outcome.details["domain"]) == (Verdict.SUCCESS, "example.test")
    assert (refused.verdict, refused.error_code) == (Verdict.UNKNOWN, "rdap_unreadable")
    assert asked[-1] == "/rdap/domain/other.test"


@pytest.mark.parametrize(
    ("document", "config", "verdict", "code", "values"),
    [
        (
            registered("2099-01-01", status=["client hold", "active"]),
            {},
            Verdict.FAILURE,
            "domain_held",
            {"status": "client hold"},
        ),
        (
            registered("2099-01-01T00:00:00Z"),
            {"name_servers": "ns1.elsewhere.example"},
            Verdict.FAILURE,
            "domain_servers_unmet",
            {"found": "ns1.example.net, ns2.example.net"},
        ),
        (registered(None), {}, Verdict.UNKNOWN, "domain_end_unknown", {}),
        (registered("some day"), {}, Verdict.UNKNOWN, "domain_end_unknown", {}),
        (registered(None), {"warn_days": 0, "fail_days": 0}, Verdict.SUCCESS, "", {}),
    ],
)
async def test_registration_is_judged(
    monkeypatch: pytest.MonkeyPatch,
    document: dict[str, Any],
    config: dict[str, Any],
    verdict: Verdict,
    code: str,
    values: dict[str, str],
) -> None:
    with registry(monkeypatch, always(document)):
        outcome = await ask("domain", domain="example.test", **config)

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (verdict, code, values)


async def test_unregistered_domain_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(monkeypatch, lambda _path: answer(404, b"{}")):
        outcome = await ask("domain", domain="example.test")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "domain_unregistered")


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("x.co.uk", ["x.co.uk"]),
        ("www.x.co.uk", ["www.x.co.uk", "x.co.uk"]),
        ("a.b.c.d.x.co.uk", ["b.c.d.x.co.uk", "c.d.x.co.uk", "d.x.co.uk", "x.co.uk"]),
        ("co.uk", ["co.uk"]),
        ("www.x.test", ["www.x.test", "x.test"]),
    ],
)
async def test_unregistered_domain_is_not_judged_by_what_belongs_to_the_registry(
    monkeypatch: pytest.MonkeyPatch, domain: str, asked: list[str]
) -> None:
    def reply(path: str) -> bytes:
        of_registry = domain != "co.uk" and path in ("domain/co.uk", "domain/uk", "domain/test")
        return answer(200, json.dumps(registered(until_in(400))).encode()) if of_registry else answer(404, b"{}")

    with registry(monkeypatch, reply) as (_web, paths):
        outcome = await ask("domain", domain=domain)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "domain_unregistered")
    assert outcome.error_values == {"domain": domain}
    assert paths[1:] == [f"/rdap/domain/{name}" for name in asked]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer(429), "rdap_limited"),
        (answer(500), "rdap_unreadable"),
        (answer(200, b"<html>"), "rdap_unreadable"),
        (answer(200, b"[" * 100_000), "rdap_unreadable"),
        (answer(200, b'{"objectClassName": "entity"}'), "rdap_unreadable"),
        (b"", "rdap_unreachable"),
    ],
)
async def test_registry_s_troubles_say_nothing_of_the_domain(
    monkeypatch: pytest.MonkeyPatch, reply: bytes, code: str
) -> None:
    with registry(monkeypatch, lambda _path: reply):
        outcome = await ask("domain", domain="example.test")

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, code)


async def test_odd_shapes_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {
        "objectClassName": "domain",
        "events": [1, {"eventAction": 5}],
        "status": "x",
        "nameservers": {},
        "entities": [[]],
    }
    with registry(monkeypatch, always({**odd, "entities": [{"roles": ["registrar"], "vcardArray": ["vcard", 5]}]})):
        outcome = await ask("domain", domain="example.test")

    assert (outcome.error_code, outcome.details["registrar"], outcome.details["status"]) == (
        "domain_end_unknown",
        "",
        [],
    )


async def test_words_that_no_database_takes_are_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    document = registered(until_in(400), status=["a\x00b\ud800c" + "x" * 500])
    with registry(monkeypatch, always(document)):
        outcome = await ask("domain", domain="example.test")

    assert outcome.details["status"] == ["a b c" + "x" * 94 + "…"]


async def test_top_level_domain_without_rdap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(monkeypatch, always({})):
        outcome = await ask("domain", domain="example.nowhere")

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "rdap_unsupported")
    assert outcome.error_values == {"domain": "nowhere"}


async def test_registry_s_redirect_is_followed_within_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(monkeypatch, lambda _path: answer(302, b"", Location="http://169.254.169.254/domain/x")):
        outcome = await ask("domain", domain="example.test")

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "rdap_unreachable")
    assert outcome.error_values["detail"] == "address forbidden"


async def test_private_registry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(monkeypatch, always(registered(until_in(400)))) as (_web, asked):
        outcome = await ask("domain", domain="example.test", allow_private=False)

    assert (outcome.error_code, outcome.error_values["detail"]) == ("rdap_unreachable", "address forbidden")
    assert asked == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"domain": "192.0.2.1"}, "domain"),
        ({"domain": "localhost"}, "domain"),
        ({"domain": "https://example.com"}, "domain"),
        ({"domain": "example.com", "warn_days": 3, "fail_days": 4}, "fail_days"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(DomainConfig, given)

    assert list(caught.value.errors) == [field]
