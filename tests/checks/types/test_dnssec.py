"""What a hostile zone may make us do: nothing endless, and nothing believed that it says of itself."""

import dns.message
import dns.name
import dns.rrset
import pytest

from apps.checks.types.base import ProbeFailure
from apps.checks.types.dnssec import MAX_KEYS, MAX_QUESTIONS, MAX_SETS, MAX_SIGNATURES, ChainOfTrust, read_anchors

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
