"""Name servers of a closed network, that know its own names alone: these are what they are judged by."""

import dns.message
import dns.name
import dns.rcode
import pytest

from apps.checks.enums import Verdict
from apps.checks.types import dns_exchange, dns_heard, record_sets
from tests.checks.types.asking import ask
from tests.checks.types.test_dns_ours import BROKEN, SHORT, chosen, look, said
from tests.peers.talker import answering

__all__ = ["chosen"]

BROKEN_NAME = dns.name.from_text(BROKEN)
HEALTHY = "www.healthy.internal"


class Closed:
    """A closed network's resolver: answers what lies in ``healthy``, and else what ``words`` holds for it, or silence."""

    def __init__(self, words: dict[str, int | None], *, healthy: str = HEALTHY) -> None:
        self.words = words
        self.healthy = healthy
        self.asked: list[str] = []

    def __call__(self, wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        return said(query, dns.rcode.NOERROR if name == self.healthy else self.words.get(name))


WAYS_TO_FAIL = pytest.mark.parametrize(
    "rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, None], ids=["failing", "refusing", "silent"]
)


@WAYS_TO_FAIL
@pytest.mark.parametrize("to_witness", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, None], ids=["fails", "refuses", "hangs"])
async def test_name_is_at_fault_where_a_closed_network_s_other_names_are_answered(
    rcode: int | None, to_witness: int | None
) -> None:
    async with answering(Closed({BROKEN: rcode, "com": to_witness})) as port:
        await look(port, HEALTHY)
        outcome = await look(port, timeout=2 * SHORT)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "timeout" if rcode is None else "dns_rcode_unmet")


async def test_name_that_there_is_not_is_an_answer_as_well() -> None:
    words: dict[str, int | None] = {
        "no.internal": dns.rcode.NXDOMAIN,
        BROKEN: dns.rcode.SERVFAIL,
        "com": dns.rcode.SERVFAIL,
    }
    async with answering(Closed(words)) as port:
        await look(port, "no.internal")
        outcome = await look(port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "dns_rcode_unmet")


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_closed_network_s_name_may_be_expected_to_fail(rcode: dns.rcode.Rcode) -> None:
    async with answering(Closed({BROKEN: rcode, "com": rcode})) as port:
        await look(port, HEALTHY)
        outcome = await look(port, rcode=dns.rcode.to_text(rcode), matching="free")

    assert outcome.verdict == Verdict.SUCCESS


async def test_drift_s_records_are_judged_by_what_dns_checks_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(Closed({BROKEN: dns.rcode.SERVFAIL, "com": dns.rcode.SERVFAIL})) as port:
        monkeypatch.setattr(record_sets, "PORT", port)
        await look(port, HEALTHY)
        outcome = await ask("drift", url=f"http://{BROKEN}/", record_types=["A"])

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "dns_no_answer")


@WAYS_TO_FAIL
async def test_names_that_were_answered_once_excuse_nobody_now(rcode: int | None) -> None:
    resolver = Closed({HEALTHY: rcode, BROKEN: rcode, "com": rcode})
    async with answering(resolver) as port:
        await look(port, HEALTHY)
        resolver.healthy = ""
        outcome = await look(port, timeout=SHORT)

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "resolver_failure")


@pytest.mark.parametrize("other", [BROKEN, "broken.example", f"a.{BROKEN}", "test"])
async def test_name_s_own_domain_and_the_top_of_the_tree_are_no_witnesses(other: str) -> None:
    """What lies above a name is in the cache for long; and the top of the tree is so for everybody."""
    resolver = Closed({BROKEN: dns.rcode.SERVFAIL, "com": dns.rcode.SERVFAIL}, healthy=other)
    async with answering(resolver) as port:
        await look(port, other)
        resolver.asked.clear()
        resolver.healthy = "" if other == BROKEN else other
        outcome = await look(port)

    assert (outcome.verdict, set(resolver.asked)) == (Verdict.UNKNOWN, {BROKEN, "com"})


async def test_only_what_these_servers_answered_is_asked_for_again() -> None:
    words: dict[str, int | None] = {BROKEN: dns.rcode.SERVFAIL, "com": dns.rcode.SERVFAIL}
    first, second = Closed(words), Closed(words)
    async with answering(first) as port, answering(second) as other_port:
        await look(port, HEALTHY)
        outcome = await look(other_port)

    assert (outcome.verdict, second.asked) == (Verdict.UNKNOWN, [BROKEN, "com"])


async def test_servers_that_knew_the_witness_are_judged_by_it_alone() -> None:
    """Cut off from the world, a resolver goes on answering what it has in its cache."""
    resolver = Closed({BROKEN: dns.rcode.SERVFAIL, "com": dns.rcode.NOERROR})
    async with answering(resolver) as port:
        await look(port, HEALTHY)
        before = await look(port)
        resolver.words["com"] = dns.rcode.SERVFAIL
        outcome = await look(port)

    assert (before.verdict, outcome.verdict) == (Verdict.FAILURE, Verdict.UNKNOWN)
    assert resolver.asked == [HEALTHY, BROKEN, "com", BROKEN, "com"]


@pytest.mark.parametrize(("rcode", "code"), [(dns.rcode.SERVFAIL, "dns_rcode_unmet"), (None, "timeout")])
async def test_server_that_refuses_the_witness_works(rcode: int | None, code: str) -> None:
    async with answering(Closed({BROKEN: rcode, "com": dns.rcode.REFUSED})) as port:
        outcome = await look(port, timeout=SHORT)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


def test_the_latest_names_of_the_latest_servers_are_remembered() -> None:
    every = [dns_exchange.NameServer(("192.0.2.1",), port, "udp") for port in range(dns_heard.KEPT_SERVERS + 1)]
    names = [dns.name.from_text(f"a.{number}.example") for number in range(dns_heard.KEPT_NAMES + 1)]
    for name in names:
        dns_heard.note_name(every[0], name, "MX")
    latest = dns_heard.other_name(every[0], BROKEN_NAME)
    dns_heard.note_name(every[0], names[4], "A")
    again = dns_heard.other_name(every[0], BROKEN_NAME)
    for servers in every[1:]:
        dns_heard.note_name(servers, names[0], "A")

    assert (latest, again) == ((names[-1], "MX"), (names[4], "A"))
    assert dns_heard.other_name(every[0], BROKEN_NAME) is None
    assert dns_heard.other_name(every[1], BROKEN_NAME) == (names[0], "A")
