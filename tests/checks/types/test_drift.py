"""Drift against loopback servers that change under the check's eyes."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types import dns_exchange, record_sets
from apps.checks.types.base import Outcome
from apps.checks.types.drift import DriftCheck, DriftConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.checks.types.asking import ask
from tests.peers.process import free_port
from tests.peers.talker import answering
from tests.peers.web import Web, answer, saying, serving

DOCUMENT = {"id": 1, "name": "x", "items": [{"sku": "a", "price": 1.5}]}


async def look(url: str, baseline: dict[str, Any] | None = None, **config: Any) -> Outcome:
    return await ask("drift", url=url, baseline=json.dumps(baseline) if baseline else "", **config)


async def observed(url: str, **config: Any) -> dict[str, Any]:
    """Return what a first look sees, which a person would approve."""
    outcome = await look(url, **config)
    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "drift_no_baseline")
    found: dict[str, Any] = outcome.details["observed"]
    return found


class Changing:
    """A page that is replaced by the next one."""

    def __init__(self, page: bytes) -> None:
        self.page = page

    def __call__(self, connection: Any, _request: bytes) -> None:
        connection.sendall(self.page)


@pytest.fixture
def page() -> Changing:
    return Changing(answer(200, json.dumps(DOCUMENT).encode(), Server="nginx", X_Frame_Options="DENY"))


@pytest.fixture
def web(page: Changing) -> Iterator[Web]:
    with serving(page) as running:
        yield running


async def test_first_look_has_nothing_to_compare_with(web: Web) -> None:
    outcome = await look(
        web.url("/api"), watched_headers=["Server", "X-Missing"], watches_shape=True, watches_body=True
    )

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.UNKNOWN, "drift_no_baseline", 200)
    assert outcome.details["observed"] == {
        "of": outcome.details["observed"]["of"],
        "headers": {"server": "nginx"},
        "body": outcome.details["observed"]["body"],
        "shape": {"id": "number", "name": "string", "items": [{"sku": "string", "price": "number"}]},
    }
    assert outcome.details["observed"]["body"].startswith("sha256 ")
    assert outcome.first_byte_ms is not None


async def test_nothing_changed(web: Web) -> None:
    watched = {"watched_headers": ["Server", "X-Missing"], "watches_shape": True, "watches_body": True}
    baseline = await observed(web.url(), **watched)

    outcome = await look(web.url(), baseline, **watched)

    assert (outcome.verdict, outcome.error_code, outcome.details) == (Verdict.SUCCESS, "", {})


async def test_changed_headers_are_named(web: Web, page: Changing) -> None:
    watched = {"watched_headers": ["server", "x-frame-options", "strict-transport-security", "set-cookie"]}
    baseline = await observed(web.url(), **watched)

    page.page = answer(200, b"", Server="apache", Strict_Transport_Security="max-age=1", Date="now").replace(
        b"\r\n\r\n", b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n", 1
    )
    outcome = await look(web.url(), baseline, **watched)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "drift")
    assert outcome.details["changes"] == [
        "server: nginx → apache",
        "+ set-cookie: a=1, b=2",
        "+ strict-transport-security: max-age=1",
        "− x-frame-options: DENY",
    ]
    assert outcome.error_values == {
        "changes": "server: nginx → apache; + set-cookie: a=1, b=2; + strict-transport-security: max-age=1 (+1)",
        "count": 4,
    }
    assert set(outcome.details) == set(DriftCheck.facts)


async def test_values_may_change_but_not_the_shape(web: Web, page: Changing) -> None:
    baseline = await observed(web.url(), watches_shape=True)

    page.page = answer(200, json.dumps({**DOCUMENT, "id": 2, "items": []}).encode())
    values = await look(web.url(), baseline, watches_shape=True)
    page.page = answer(200, json.dumps({"id": "2", "items": DOCUMENT["items"], "new": 1}).encode())
    shape = await look(web.url(), baseline, watches_shape=True)

    assert values.verdict == Verdict.SUCCESS
    assert shape.details["changes"] == ["$.id: number → string", "− $.name: string", "+ $.new: number"]


async def test_approving_what_was_observed_ends_the_drift(web: Web, page: Changing) -> None:
    baseline = await observed(web.url(), watches_shape=True, watches_body=True)
    page.page = answer(200, b'{"other": true}')
    drifted = await look(web.url(), baseline, watches_shape=True, watches_body=True)

    outcome = await look(web.url(), dict(drifted.details["observed"]), watches_shape=True, watches_body=True)

    assert drifted.error_code == "drift"
    assert outcome.verdict == Verdict.SUCCESS


async def test_secret_that_the_server_repeats_is_hidden_and_no_drift(web: Web, page: Changing) -> None:
    page.page = answer(200, b"{}", X_Said="swordfish-and-more", X_Plain="yes")
    settings: dict[str, Any] = {
        "url": web.url(),
        "headers": {"X-Key": "swordfish-and-more"},
        "watched_headers": ["X-Said", "X-Plain"],
    }

    baseline = await observed(**settings)
    again = await look(baseline=baseline, **settings)
    page.page = answer(200, b"{}", X_Said="swordfish-and-more", X_Plain="no")
    changed = await look(baseline=baseline, **settings)

    assert baseline["headers"] == {"x-said": "••••", "x-plain": "yes"}
    assert again.verdict == Verdict.SUCCESS
    assert changed.details["changes"] == ["x-plain: yes → no"]


async def test_part_of_the_body(web: Web, page: Changing) -> None:
    watched = {"watches_body": True, "body_pattern": r"version (\d+)"}
    page.page = answer(200, b"now 12:00, version 7")
    baseline = await observed(web.url(), **watched)

    page.page = answer(200, b"now 12:01, version 7")
    same = await look(web.url(), baseline, **watched)
    page.page = answer(200, b"now 12:02, version 8")
    other = await look(web.url(), baseline, **watched)
    page.page = answer(200, b"gone")
    gone = await look(web.url(), baseline, **watched)

    assert baseline["body"] == "7"
    assert same.verdict == Verdict.SUCCESS
    assert other.details["changes"] == ["body: 7 → 8"]
    assert gone.details["changes"] == ["body: 7 → –"]


async def test_baseline_of_other_settings_is_none(web: Web) -> None:
    baseline = await observed(web.url(), watches_body=True)

    other_url = await look(web.url("/other"), baseline, watches_body=True)
    other_aspect = await look(web.url(), baseline, watches_body=True, watches_shape=True)

    assert (other_url.verdict, other_url.error_code) == (Verdict.UNKNOWN, "drift_no_baseline")
    assert (other_aspect.verdict, other_aspect.error_code) == (Verdict.UNKNOWN, "drift_no_baseline")


async def test_certificates(authority: trustme.CA, trusted: None) -> None:
    first, second = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _number in range(2))
    authority.issue_cert("localhost").configure_cert(first)
    authority.issue_cert("localhost").configure_cert(second)
    with serving(saying(b""), tls=first, listens=False) as web:
        url = web.url(host="localhost")
        chain = await observed(url, certificate="chain")
        issuers = await observed(url, certificate="issuers")
        same = await look(url, chain, certificate="chain")
    with serving(saying(b""), tls=second, listens=False) as web:
        renewed_url = web.url(host="localhost")
        of_chain, of_issuers = (
            {**before, "of": DriftConfig(url=renewed_url, certificate=part).aspects}
            for before, part in ((chain, "chain"), (issuers, "issuers"))
        )
        renewed = await look(renewed_url, of_chain, certificate="chain")
        renewed_issuers = await look(renewed_url, of_issuers, certificate="issuers")

    assert same.verdict == Verdict.SUCCESS
    assert same.cert_expires_at is not None
    assert renewed.error_code == "drift"
    assert [change[0] for change in renewed.details["changes"]] == ["−", "+"]
    assert renewed_issuers.verdict == Verdict.SUCCESS


async def test_bad_certificate_is_a_failure_of_its_own(server_tls: ssl.SSLContext) -> None:
    with serving(saying(b""), tls=server_tls, listens=False) as web:
        outcome = await look(web.url(host="localhost"), certificate="chain")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_unknown_issuer")


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[str]]:
    """The records of example.test by type, as served by the name server that this machine is told to ask."""
    configured = tmp_path / "resolv.conf"
    configured.write_text("nameserver 127.0.0.1\n")
    monkeypatch.setattr(dns_exchange, "RESOLV_CONF", configured)
    return {"A": ["192.0.2.1", "192.0.2.2"], "MX": ["10 mail.example.test."]}


def serve_zone(zone: dict[str, list[str]]) -> Any:
    def reply(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        if kind == "TXT":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif zone.get(kind):
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, zone[kind]))
        return [response.to_wire()]

    return answering(reply)


async def test_dns_records(zone: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    watched = {"record_types": ["mx", "A", "CAA"]}
    async with serve_zone(zone) as port:
        monkeypatch.setattr(record_sets, "PORT", port)
        baseline = await observed("http://example.test/", **watched)
        zone["A"].reverse()
        turned = await look("http://example.test/", baseline, **watched)
        zone["A"] = ["192.0.2.2", "192.0.2.3"]
        zone["MX"] = [f"{number} mail{number}.example.test." for number in range(30)]
        changed = await look("http://example.test/", baseline, **watched)
        broken = await look("http://example.test/", record_types=["TXT"])

    assert baseline["records"] == {"A": ["192.0.2.1", "192.0.2.2"], "CAA": [], "MX": ["10 mail.example.test."]}
    assert turned.verdict == Verdict.SUCCESS
    assert changed.details["changes"][:3] == [
        "− A: 192.0.2.1",
        "+ A: 192.0.2.3",
        "− MX: 10 mail.example.test.",
    ]
    assert changed.details["changes"][3].startswith("+ MX: 30 #")
    assert (broken.verdict, broken.error_code) == (Verdict.FAILURE, "dns_no_answer")


async def test_largest_observation_stays_small(web: Web, page: Changing) -> None:
    names = [f"X-Header-Number-{number}" for number in range(12)]
    document = {f"key number {number}": [{"inner": {"leaf": 1}}] for number in range(3_000)}
    page.page = answer(200, json.dumps(document).encode(), **{name.replace("-", "_"): "v" * 900 for name in names})
    watched = {"watched_headers": names, "watches_shape": True, "watches_body": True}

    baseline = await observed(web.url(), **watched)
    same = await look(web.url(), baseline, **watched)
    page.page = answer(200, json.dumps({**document, "one more": 1}).encode())
    other = await look(web.url(), baseline, **watched)

    assert len(json.dumps(baseline)) < 4_000
    assert same.verdict == Verdict.SUCCESS
    assert other.error_values["count"] == 14
    assert len(json.dumps(other.details["changes"], ensure_ascii=False)) < 2_000


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"<html>", 200, "drift_not_json"),
        (b"[" * 900_000, 200, "drift_not_json"),
        (b"1" * 900_000, 200, "drift_not_json"),
        (b'{"a": 1}', 503, "status_mismatch"),
    ],
)
async def test_what_cannot_be_compared_is_a_failure(
    web: Web, page: Changing, body: bytes, status: int, code: str
) -> None:
    page.page = answer(status, body)

    outcome = await look(web.url(), watches_shape=True)

    assert (outcome.verdict, outcome.error_code, outcome.details) == (Verdict.FAILURE, code, {})


async def test_catastrophic_pattern_is_stopped(web: Web, page: Changing) -> None:
    page.page = answer(200, b"a" * 5_000 + b"!")

    outcome = await look(web.url(), watches_body=True, body_pattern=r"^(a+)+$")

    assert outcome.error_code == "drift_pattern_slow"


async def test_texts_of_strangers_can_be_stored(web: Web, page: Changing) -> None:
    page.page = answer(200, b'{"\\u0000\\ud800": 1, "v": 1}', Server="caf\xe9\x7f")

    baseline = await observed(web.url(), watches_shape=True, watched_headers=["Server"])

    assert "\x00" not in json.dumps(baseline, ensure_ascii=False)
    assert json.dumps(baseline, ensure_ascii=False).encode()


@pytest.mark.parametrize("watched", [{"watches_body": True}, {"certificate": "chain"}], ids=["request", "certificates"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_private_address_is_refused_without_the_right(host: str, watched: dict[str, Any]) -> None:
    with serving(saying(answer())) as web:
        url = web.url(host=host).replace("http:", "https:")
        outcome = await ask("drift", allow_private=False, url=url, **watched)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "address_forbidden")
    assert web.connections == 0


async def test_name_that_changes_between_the_aspects_cannot_slip_through() -> None:
    """Request and certificates look the name up for themselves; each address is judged."""
    from apps.checks.engine.job import ProbeJob

    answers = iter([("203.0.113.7",), ("127.0.0.1",), ("169.254.169.254",), ("127.0.0.1",)] * 5)
    with serving(saying(answer())) as web:
        config = DriftConfig(url=f"https://rebind.example:{web.port}/", watches_body=True, certificate="chain")
        jobs = [ProbeJob(number, "drift", config, PATIENCE, False) for number in range(5)]
        outcomes = await probe_all(jobs, lookup=lambda _host: next(answers))

    assert {outcome.error_code for outcome in outcomes.values()} == {"address_forbidden"}
    assert web.connections == 0


async def test_nobody_there() -> None:
    outcome = await look(f"http://127.0.0.1:{free_port()}/", watches_body=True)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "connect_refused")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "watched_headers"),
        ({"watched_headers": ["a b"]}, "watched_headers"),
        ({"watched_headers": [f"h{number}" for number in range(13)]}, "watched_headers"),
        ({"watches_body": True, "body_pattern": "("}, "body_pattern"),
        ({"watches_shape": True, "body_pattern": "a"}, "body_pattern"),
        ({"record_types": ["ANY"]}, "record_types"),
        ({"record_types": ["A"], "url": "https://192.0.2.1/"}, "record_types"),
        ({"certificate": "chain", "url": "http://example.com/"}, "certificate"),
        ({"certificate": "all"}, "certificate"),
        ({"watches_body": True, "baseline": "[" * 5_000}, "baseline"),
        ({"watches_body": True, "baseline": '{"body": "x"}'}, "baseline"),
        ({"watches_body": True, "headers": {"Upgrade": "x"}}, "headers"),
    ],
)
def test_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(DriftConfig, {"url": "https://example.com/", **given})

    assert list(caught.value.errors) == [field]


@pytest.mark.parametrize(
    "baseline",
    [
        {"headers": 5},
        {"body": []},
        {"records": {"A": 7}},
        {"certificates": 3},
        {"shape": [5]},
        {"headers": {"server": 1}},
    ],
)
async def test_baseline_written_by_hand_is_judged(web: Web, baseline: dict[str, Any]) -> None:
    """The API takes a baseline as it takes every setting: a strange one is refused, and breaks no probe."""
    watched = {"watched_headers": ["Server"], "watches_shape": True, "watches_body": True}
    own = {**baseline, "of": DriftConfig(url=web.url(), **watched).aspects}

    outcome = await look(web.url(), own, **watched)
    with pytest.raises(ConfigErrors) as caught:
        parse_config(DriftConfig, {"url": web.url(), **watched, "baseline": json.dumps(own)})

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "drift_no_baseline")
    assert list(caught.value.errors) == ["baseline"]
