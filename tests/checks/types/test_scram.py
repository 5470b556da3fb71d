"""SCRAM by the example of RFC 7677, and against servers that cheat."""

import hashlib

import pytest

from apps.checks.types.base import ProbeFailure
from apps.checks.types.scram import ScramLogin, prepared

# RFC 7677, section 3
NONCE = "rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
LAST = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def login() -> ScramLogin:
    return ScramLogin("SCRAM-SHA-256", username="user", password="pencil", nonce=NONCE)


async def test_example_of_the_rfc() -> None:
    made = login()

    assert made.first == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert await made.respond(CHALLENGE) == PROOF
    made.verify(LAST)
    assert made.is_proven


@pytest.mark.parametrize("last", [b"v=AAAA", b"v=", b"", b"e=other-error", b"v=\xff"])
async def test_server_that_does_not_know_the_password_is_found_out(last: bytes) -> None:
    made = login()
    await made.respond(CHALLENGE)

    with pytest.raises(ProbeFailure):
        made.verify(last)
    assert not made.is_proven


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=100001",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999999999999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=\xb2",
        b"x" * 5_000,
        b"",
    ],
)
async def test_challenge_that_cannot_be_right_is_refused(challenge: bytes) -> None:
    with pytest.raises(ProbeFailure) as refused:
        await login().respond(challenge)

    assert refused.value.code == "wrong_protocol"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("é\u0007", "é\u0007"),
    ],
)
def test_passwords_are_prepared_by_rfc_4013(given: str, meant: str) -> None:
    assert prepared(given) == meant


async def test_rounds_are_gone_through_once_for_a_salt_and_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[bytes, bytes]] = []
    real = hashlib.pbkdf2_hmac

    def count(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        counted.append((password, salt))
        return real(name, password, salt, rounds)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", count)
    for password, salt in (("one", b"QUFB"), ("one", b"QUFB"), ("two", b"QUFB"), ("one", b"QkJC"), ("one", b"QUFB")):
        made = ScramLogin("SCRAM-SHA-256", username="counted", password=password, nonce="n")
        await made.respond(b"r=nx,s=" + salt + b",i=4096")

    assert counted == [(b"one", b"AAA"), (b"two", b"AAA"), (b"one", b"BBB")]


def test_names_are_escaped() -> None:
    made = ScramLogin("SCRAM-SHA-512", username="a=b,c", password="x", nonce="n")

    assert made.first == b"n,,n=a=3Db=2Cc,r=n"
