"""What a hostile zone may make us do: nothing endless, and nothing believed that it says of itself."""

import asyncio
import random

import dns.dnssec
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from apps.checks.types.base import ProbeFailure
from apps.checks.types.dns_trail import MAX_HOPS, follow
from apps.checks.types.dnssec import MAX_KEYS, MAX_QUESTIONS, MAX_SETS, MAX_SIGNATURES, ChainOfTrust, read_anchors
from apps.checks.types.dnssec_denial import MAX_ROUNDS, Proof, Unproven, proof_of

ANCHOR = ". DS 1 13 2 " + "00" * 32
KEY = "257 3 13 " + "AAAA" * 21 + "AA=="


def _signature(covered: str, labels: int, signer: str, tag: int = 1) -> str:
    return f"{covered} 13 {labels} 60 20400101000000 20200101000000 {tag} {signer} {'AAAA' * 21}AA=="


def _answer(name: str, record_type: str, *records: str, signatures: tuple[str, ...] = ()) -> dns.message.Message:
    answer = dns.message.make_response(dns.message.make_query(name, record_type))
    answer.answer.append(dns.rrset.from_text(f"{name}", 60, "IN", record_type, *records))
    if signatures:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "RRSIG", *signatures))
    return answer


class _Zone:
    """A name server that answers from a list, and counts."""

    def __init__(self, *answers: dns.message.Message) -> None:
        self._answers = {(str(entry.question[0].name), _type(entry)): entry for entry in answers}
        self.asked = 0

    async def ask(self, name: dns.name.Name, record_type: str) -> dns.message.Message:
        self.asked += 1
        known = self._answers.get((str(name), record_type))
        return known or dns.message.make_response(dns.message.make_query(name, record_type))


def _type(answer: dns.message.Message) -> str:
    return dns.rdatatype.to_text(answer.question[0].rdtype)


async def _complaint(answer: dns.message.Message, *known: dns.message.Message) -> tuple[str, str, int]:
    zone = _Zone(*known)
    with pytest.raises(ProbeFailure) as caught:
        await ChainOfTrust(zone.ask, read_anchors(ANCHOR)).judge(answer)
    return caught.value.code, str(caught.value.values.get("detail", "")), zone.asked


WWW = "www.evil.test."


async def test_too_many_keys_are_not_tried() -> None:
    keys = [f"257 3 13 {number:04d}{'AAAA' * 20}AA==" for number in range(MAX_KEYS + 1)]
    answer = _answer(WWW, "A", "192.0.2.1", signatures=(_signature("A", 3, "."),))

    complaint = await _complaint(answer, _answer(".", "DNSKEY", *keys))

    assert complaint == ("dnssec_invalid", ". has too many keys", 1)


async def test_too_many_signatures_are_not_tried() -> None:
    signatures = tuple(_signature("A", 3, ".", tag) for tag in range(MAX_SIGNATURES + 1))

    complaint = await _complaint(_answer(WWW, "A", "192.0.2.1", signatures=signatures))

    assert complaint == ("dnssec_invalid", f"{WWW} has too many signatures", 0)


async def test_too_many_records_are_not_judged() -> None:
    answer = _answer(WWW, "A", "192.0.2.1")
    for number in range(MAX_SETS):
        answer.answer.append(dns.rrset.from_text(f"n{number}.evil.test.", 60, "IN", "A", "192.0.2.1"))

    assert await _complaint(answer) == ("dnssec_invalid", "too many records", 0)


async def test_stranger_s_signature_is_not_followed() -> None:
    answer = _answer(WWW, "A", "192.0.2.1", signatures=(_signature("A", 3, "elsewhere.test."),))

    assert await _complaint(answer) == ("dnssec_invalid", f"{WWW} is signed by a stranger", 0)


async def test_zone_s_word_for_itself_goes_round_in_no_circle() -> None:
    answer = _answer(WWW, "A", "192.0.2.1", signatures=(_signature("A", 3, "evil.test."),))
    own = _answer("evil.test.", "DS", f"1 13 2 {'00' * 32}", signatures=(_signature("DS", 2, "evil.test."),))

    assert await _complaint(answer, own) == ("dnssec_invalid", "evil.test. signs its own DS", 1)


async def test_endless_delegation_ends() -> None:
    labels = 2 * MAX_QUESTIONS
    name = "a." * labels
    answer = _answer(name, "A", "192.0.2.1", signatures=(_signature("A", labels, name),))
    chain = [
        _answer("a." * depth, "DS", f"1 13 2 {'00' * 32}", signatures=(_signature("DS", depth, "a." * (depth - 1)),))
        for depth in range(2, labels + 1)
    ]

    assert await _complaint(answer, *chain) == ("dnssec_invalid", "the chain is too long", MAX_QUESTIONS)


async def test_zone_without_keys_is_named() -> None:
    answer = _answer(WWW, "A", "192.0.2.1", signatures=(_signature("A", 3, "."),))

    assert await _complaint(answer) == ("dnssec_invalid", ". has no keys", 1)
    assert await _complaint(answer, _answer(".", "DNSKEY", KEY)) == (
        "dnssec_invalid",
        "no key of . matches its DS",
        1,
    )


ZONE = dns.name.from_text("z.test")
HASH = "0" * 32


def _proof(*records: str) -> Proof:
    """Return what zone file lines deny."""
    sets = []
    for line in records:
        owner, kind, rest = line.split(" ", 2)
        sets.append(dns.rrset.from_text(owner, 60, "IN", kind, rest))
    return proof_of(ZONE, sets)


@pytest.mark.parametrize(
    ("records", "name", "missing"),
    [
        (["a.z.test. NSEC c.z.test. A", "z.test. NSEC a.z.test. SOA NS"], "b.z.test.", ""),
        (["z.test. NSEC z.test. SOA NS"], "b.z.test.", ""),
        (["a.z.test. NSEC c.z.test. A"], "b.z.test.", "nothing denies *.z.test."),
        (["a.z.test. NSEC b.z.test. A", "z.test. NSEC a.z.test. SOA"], "b.z.test.", "nothing denies b.z.test."),
        (["b.z.test. NSEC c.z.test. A", "z.test. NSEC a.z.test. SOA"], "b.z.test.", "nothing denies b.z.test."),
        (["a.z.test. NSEC x.b.z.test. A", "z.test. NSEC a.z.test. SOA"], "b.z.test.", "b.z.test. exists"),
        (["b.z.test. NSEC d.z.test. NS", "z.test. NSEC b.z.test. SOA"], "x.b.z.test.", "nothing denies x.b.z.test."),
        (["b.z.test. NSEC d.z.test. DNAME", "z.test. NSEC b.z.test. SOA"], "x.b.z.test.", "nothing denies x.b.z.test."),
        (["b.z.test. NSEC d.z.test. NS SOA"], "x.b.z.test.", ""),  # its own apex, which is no cut
        (["a.z.test. NSEC c.z.test. A", "z.test. NSEC x.*.z.test. SOA"], "b.z.test.", "*.z.test. exists"),
    ],
)
def test_name_is_denied_by_gaps_in_the_order(records: list[str], name: str, missing: str) -> None:
    complaint = ""
    try:
        _proof(*records).deny_name(dns.name.from_text(name))
    except Unproven as error:
        complaint = str(error)

    assert complaint == missing


@pytest.mark.parametrize(
    ("records", "wanted", "missing"),
    [
        (["b.z.test. NSEC c.z.test. A"], "MX", ""),
        (["b.z.test. NSEC c.z.test. A MX"], "MX", "b.z.test. has such records"),
        (["b.z.test. NSEC c.z.test. CNAME"], "MX", "b.z.test. has such records"),
        (["b.z.test. NSEC c.z.test. A TYPE65280"], "TYPE65280", "b.z.test. has such records"),
        (["b.z.test. NSEC c.z.test. NS"], "MX", "the zone of b.z.test. has to say so"),
        (["b.z.test. NSEC c.z.test. NS"], "DS", ""),
        (["b.z.test. NSEC c.z.test. NS SOA"], "DS", "the zone above b.z.test. has to say so"),
        (["a.z.test. NSEC x.b.z.test. A"], "MX", ""),
        (["a.z.test. NSEC c.z.test. A"], "MX", "nothing tells what *.z.test. has"),
    ],
)
def test_type_is_denied_by_the_list_of_those_there_are(records: list[str], wanted: str, missing: str) -> None:
    complaint = ""
    try:
        _proof(*records).deny_type(dns.name.from_text("b.z.test"), dns.rdatatype.from_text(wanted))
    except Unproven as error:
        complaint = str(error)

    assert complaint == missing


def test_hashing_without_end_is_refused() -> None:
    with pytest.raises(Unproven, match=f"hashes its names {MAX_ROUNDS + 1} times"):
        _proof(f"{HASH}.z.test. NSEC3 1 0 {MAX_ROUNDS + 1} ab {HASH} A")


@pytest.mark.parametrize(
    "record",
    [
        f"{HASH}.z.test. NSEC3 2 0 0 - {HASH} A",  # a hash that nobody has defined
        f"{HASH}.z.test. NSEC3 1 8 0 - {HASH} A",  # flags that mean what we do not know
        f"{HASH}.other.test. NSEC3 1 0 0 - {HASH} A",
        f"{HASH}.deep.z.test. NSEC3 1 0 0 - {HASH} A",
        f"zz.z.test. NSEC3 1 0 0 - {HASH} A",
        f"{HASH}.z.test. NSEC3 1 0 0 - {'0' * 16} A",
    ],
)
def test_hashed_denial_of_another_kind_counts_for_nothing(record: str) -> None:
    with pytest.raises(Unproven, match=r"nothing denies b\.z\.test"):
        _proof(record).deny_name(dns.name.from_text("b.z.test"))


def test_no_set_of_denials_breaks_the_proof() -> None:
    chance = random.Random("denials")
    labels = ["a", "b", "*", "x" * 63, "\\000", "\\255", HASH, HASH[:8]]
    answers = set()

    def name(most: int) -> str:
        for depth in range(chance.randrange(most), -1, -1):
            text = "".join(f"{chance.choice(labels)}." for _label in range(depth)) + "z.test."
            if len(text) < 240:
                return text
        return "z.test."

    for _round in range(2_000):
        if chance.random() < 0.5:
            record = f"{name(6)} NSEC {name(6)} {chance.choice(['A', 'NS', 'CNAME DNAME', 'SOA NS'])}"
        else:
            digest = "".join(chance.choices("0123456789abcdefghijklmnopqrstuv", k=32))
            record = f"{digest}.z.test. NSEC3 1 {chance.choice([0, 1])} 0 - {chance.choice([digest, HASH])} A"
        asked = dns.name.from_text(name(6))
        proof = _proof(record)
        for deny in (
            lambda proof=proof, asked=asked: proof.deny_name(asked),
            lambda proof=proof, asked=asked: proof.deny_type(asked, dns.rdatatype.MX),
            lambda proof=proof, asked=asked: len(asked) > len(ZONE) and proof.deny_closer(asked, ZONE),
        ):
            try:
                deny()
                answers.add("denied")
            except Unproven:
                answers.add("unproven")

    assert answers == {"denied", "unproven"}


def test_aliases_that_lead_in_circles_or_nowhere_end() -> None:
    circle = _answer("a.test.", "A", "192.0.2.1")
    circle.answer = [dns.rrset.from_text("a.test.", 60, "IN", "CNAME", "b.test.")]
    circle.answer.append(dns.rrset.from_text("b.test.", 60, "IN", "CNAME", "a.test."))
    growing = _answer("a.test.", "A", "192.0.2.1")
    growing.answer = [dns.rrset.from_text("test.", 60, "IN", "DNAME", f"{'x' * 60}.test.")]

    assert (follow(circle).records, len(follow(circle).aliases)) == (None, MAX_HOPS)
    assert follow(growing).records is None


async def test_long_answer_lets_others_have_their_turn() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", flags=257)
    anchors = {dns.name.root: [dns.dnssec.make_ds(dns.name.root, key, "SHA256")]}

    def signed(rrset: dns.rrset.RRset) -> list[dns.rrset.RRset]:
        signature = dns.dnssec.sign(rrset, private, dns.name.root, key, lifetime=3_600, verify=True)
        return [rrset, dns.rrset.from_rdata(rrset.name, rrset.ttl, signature)]

    keys = dns.message.make_response(dns.message.make_query(".", "DNSKEY"))
    keys.answer = signed(dns.rrset.from_rdata(dns.name.root, 60, key))
    answer = dns.message.make_response(dns.message.make_query("n0.test.", "A"))
    for number in range(10):
        answer.answer += signed(dns.rrset.from_text(f"n{number}.test.", 60, "IN", "CNAME", f"n{number + 1}.test."))
    answer.answer += signed(dns.rrset.from_text("n10.test.", 60, "IN", "A", "192.0.2.1"))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await ChainOfTrust(_Zone(keys).ask, anchors).judge(answer)
    beside.cancel()

    assert turns >= 10
