"""Name servers that we chose: when what they do not answer is the name's fault, and when it is ours."""

from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest

from apps.checks.enums import Verdict
from apps.checks.types import dns_exchange, dns_heard, dns_ours, record_sets
from tests.checks.types.asking import ask
from tests.checks.types.test_dns import _replying, server
from tests.peers.nameserver import NameServer
from tests.peers.process import free_port
from tests.peers.talker import answering

__all__ = ["server"]

BROKEN = "www.broken.example"
SHORT = 1.5  # seconds, in which a witness has its time too


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file by which this machine is told to ask 127.0.0.1."""
    configured = tmp_path / "resolv.conf"
    configured.write_text("nameserver 127.0.0.1\n")
    monkeypatch.setattr(dns_exchange, "RESOLV_CONF", configured)
    dns_heard.forget()
    return configured


class Resolver:
    """Answers each name with a record, but for ``BROKEN`` what it is told to, and for all names where it is dead."""

    def __init__(self, rcode: int | None, *, is_dead: bool) -> None:
        self.rcode = rcode
        self.is_dead = is_dead
        self.asked: list[str] = []

    def __call__(self, wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        return said(query, self.rcode if name == BROKEN or self.is_dead else dns.rcode.NOERROR)


def said(query: dns.message.Message, rcode: int | None) -> list[bytes]:
    if rcode is None:
        return []
    if rcode == dns.rcode.NOERROR:
        return _replying()(query.to_wire())
    answer = dns.message.make_response(query)
    answer.set_rcode(rcode)
    return [answer.to_wire()]


async def look(port: int, name: str = BROKEN, **config: Any) -> Any:
    return await ask("dns", name=name, port=port, **config)


async def test_names_are_answered_without_a_witness(server: NameServer) -> None:
    found = await look(server.port, "www.plain.test")
    missing = await look(server.port, "nope.plain.test")
    resolver = Resolver(None, is_dead=False)
    async with answering(resolver) as port:
        await look(port, "www.example")

    assert (found.verdict, found.details["answers"]) == (Verdict.SUCCESS, ["192.0.2.1", "192.0.2.2"])
    assert (missing.verdict, missing.error_code) == (Verdict.FAILURE, "dns_rcode_unmet")
    assert resolver.asked == ["www.example"]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_nobody_at_our_resolver_is_our_fault(transport: str) -> None:
    outcome = await look(free_port(), transport=transport)

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "resolver_failure")
    assert outcome.error_values == {"host": BROKEN, "detail": "connect_refused"}


@pytest.mark.parametrize(
    ("rcode", "detail"),
    [(dns.rcode.SERVFAIL, "SERVFAIL"), (dns.rcode.REFUSED, "REFUSED"), (None, "timeout")],
    ids=["failing", "refusing", "silent"],
)
async def test_resolver_that_answers_for_no_name_is_our_fault(rcode: int | None, detail: str) -> None:
    async with answering(Resolver(rcode, is_dead=True)) as port:
        outcome = await look(port, timeout=SHORT)
        wanted = await look(port, timeout=SHORT, rcode="SERVFAIL")

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "resolver_failure")
    assert outcome.error_values == {"host": BROKEN, "detail": detail}
    assert wanted.verdict == Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("rcode", "code"),
    [(dns.rcode.SERVFAIL, "dns_rcode_unmet"), (dns.rcode.REFUSED, "dns_rcode_unmet"), (None, "timeout")],
    ids=["failing", "refusing", "silent"],
)
async def test_name_that_alone_is_not_answered_is_at_fault_itself(rcode: int | None, code: str) -> None:
    resolver = Resolver(rcode, is_dead=False)
    async with answering(resolver) as port:
        outcome = await look(port, timeout=SHORT)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)
    assert resolver.asked == [BROKEN, "com"]


async def test_witness_is_asked_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier questions, as of a chain of signatures, may have left too little for what counts as slow."""
    monkeypatch.setattr(dns_ours, "SLOW_SECONDS", 60.0)
    async with answering(Resolver(None, is_dead=False)) as port:
        outcome = await look(port, timeout=SHORT)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "timeout")


async def test_witness_is_not_measured() -> None:
    async with answering(Resolver(None, is_dead=False)) as port:
        outcome = await look(port, timeout=SHORT)

    assert (outcome.first_byte_ms, outcome.body_bytes) == (None, None)


async def test_what_a_name_is_expected_to_fail_with_is_a_success_while_others_are_answered() -> None:
    async with answering(Resolver(dns.rcode.SERVFAIL, is_dead=False)) as port:
        outcome = await look(port, rcode="SERVFAIL", matching="free")

    assert outcome.verdict == Verdict.SUCCESS


async def test_server_of_the_check_s_own_is_judged_itself() -> None:
    resolver = Resolver(dns.rcode.SERVFAIL, is_dead=True)
    async with answering(resolver) as port:
        failing = await look(port, server="127.0.0.1")
    nobody = await look(free_port(), server="127.0.0.1")

    assert (failing.verdict, failing.error_code) == (Verdict.FAILURE, "dns_rcode_unmet")
    assert (nobody.verdict, nobody.error_code) == (Verdict.FAILURE, "connect_refused")
    assert resolver.asked == [BROKEN]


async def test_next_resolver_is_asked_where_one_fails(chosen: Path, server: NameServer) -> None:
    """As the system's own resolver does: HTTP checks would not notice that the first one is broken."""
    chosen.write_text("nameserver 127.0.0.2\nnameserver 127.0.0.1\n")
    resolver = Resolver(dns.rcode.SERVFAIL, is_dead=True)

    async with answering(resolver, host="127.0.0.2", port=server.port):
        outcome = await look(server.port, "www.plain.test")

    assert (outcome.verdict, resolver.asked) == (Verdict.SUCCESS, ["www.plain.test"])


async def test_word_of_one_resolver_outlives_the_silence_of_the_next(chosen: Path) -> None:
    chosen.write_text("nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
    silent = Resolver(None, is_dead=True)
    async with (
        answering(Resolver(dns.rcode.SERVFAIL, is_dead=False)) as port,
        answering(silent, host="127.0.0.2", port=port),
    ):
        outcome = await look(port, timeout=SHORT, rcode="SERVFAIL", matching="free")

    assert (outcome.verdict, outcome.details["rcode"]) == (Verdict.SUCCESS, "SERVFAIL")


async def test_public_servers_that_cannot_be_reached_are_our_fault(chosen: Path, settings: Any) -> None:
    chosen.unlink()
    settings.PUBLIC_NAME_SERVERS = ["127.0.0.1", "127.0.0.2"]

    outcome = await look(free_port())

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "resolver_failure")


@pytest.mark.parametrize(("is_dead", "verdict"), [(True, Verdict.UNKNOWN), (False, Verdict.FAILURE)])
async def test_signatures_are_asked_for_in_the_same_way(is_dead: bool, verdict: Verdict) -> None:
    async with answering(Resolver(dns.rcode.SERVFAIL, is_dead=is_dead)) as port:
        outcome = await look(port, dnssec=True)

    assert outcome.verdict == verdict


@pytest.mark.parametrize(
    ("is_dead", "verdict", "code"),
    [(True, Verdict.UNKNOWN, "resolver_failure"), (False, Verdict.FAILURE, "dns_no_answer")],
)
async def test_drift_s_records_are_asked_for_in_the_same_way(
    is_dead: bool, verdict: Verdict, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering(Resolver(dns.rcode.SERVFAIL, is_dead=is_dead)) as port:
        monkeypatch.setattr(record_sets, "PORT", port)
        outcome = await ask("drift", url=f"http://{BROKEN}/", record_types=["A"])

    assert (outcome.verdict, outcome.error_code) == (verdict, code)


async def test_resolver_that_is_gone_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_sets, "PORT", free_port())

    outcome = await ask("drift", url=f"http://{BROKEN}/", record_types=["A"])

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "resolver_failure")
