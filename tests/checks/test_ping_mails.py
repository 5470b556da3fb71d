"""Mails as pings: whose they are, what is kept of them, and what they count as. Bad ones cost little and break nothing."""

import encodings
import time
from email.message import EmailMessage

import pytest

from apps.checks.domain.heartbeat_rules import Report, signal_of
from apps.checks.domain.ping_mails import MAX_DEPTH, Mail, address_at, mail_ping, read_mail
from apps.checks.domain.pings import Address, BySlug
from apps.checks.enums import State
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock

TOKEN = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
KEY = "3y2kd7a1m0c9x8z4q5w6e7"
HEAD = b"From: nas@example.org\r\nSubject: Backup\r\n"


@pytest.mark.parametrize(
    ("recipient", "address"),
    [
        (f"{TOKEN}@ping.example", TOKEN),
        (f"<{TOKEN.upper()}@PING.example.>", TOKEN),
        (f"{TOKEN.replace('-', '')}@ping.example", TOKEN),
        ("Kx0y8KumaToken@ping.example", "Kx0y8KumaToken"),
        (f"{KEY}+db_backup-@ping.example", BySlug(KEY, "db_backup-")),
        (f"{KEY}+@ping.example", None),
        (f"{KEY}+a+b@ping.example", None),
        (f"{KEY}+Backup@ping.example", None),
        (f"{KEY[1:]}+backup@ping.example", None),
        (f"{TOKEN}+backup@ping.example", None),
        (f"{TOKEN}@example", None),
        (f"{TOKEN}@ping.example@evil.example", None),
        (f"{TOKEN}%evil.example@ping.example", None),
        ("postmaster@evil.example", None),
        ("short@ping.example", None),
        (f'"{TOKEN}"@ping.example', None),
        (TOKEN, None),
        ("", None),
    ],
)
def test_address_names_a_heartbeat_or_nobody(recipient: str, address: Address | None) -> None:
    assert address_at(recipient, "ping.example") == address


def test_encoded_mail_is_read_as_people_would() -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "Müller <nas@example.org>", "Sicherung größer ✓"
    message.set_content("Zeile eins\nGrüße\n", charset="iso-8859-15", cte="quoted-printable")
    message.add_alternative("<p>Grüße</p>", subtype="html")
    message.add_attachment(b"secret", maintype="text", subtype="plain", filename="log.txt")

    mail = read_mail(message.as_bytes(policy=message.policy.clone(linesep="\r\n")), "envelope@example.org")

    assert mail.sender == "Müller <nas@example.org>"
    assert mail.subject == "Sicherung größer ✓"
    assert mail.text.splitlines() == ["Zeile eins", "Grüße"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"\r\nno fields", "no fields"),
        (b"no gap at all", ""),
        (HEAD + b"\r\nplain\r\n", "plain\n"),
        (HEAD + b"Content-Type: text/html\r\n\r\n<b>x</b>", "<b>x</b>"),
        (HEAD + b"Content-Type: application/pdf\r\n\r\n%PDF", ""),
        (HEAD + b"Content-Type: text/plain; charset=no-such\r\n\r\n\xc3\xbc", "ü"),
        (HEAD + b"Content-Type: text/plain; charset=zip\r\n\r\nx", "x"),
        (HEAD + b"Content-Type: text/plain; charset=idna\r\n\r\nx", "x"),
        (HEAD + b"Content-Type: text/plain; charset=utf-16\r\n\r\nx", "\ufffd"),
        (HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n!!!!=", ""),
        (HEAD + b"Content-Transfer-Encoding: base64\r\n\r\nA", "A"),
        (HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=FF=ZZ=", "\ufffd=ZZ"),
        (HEAD + b"Content-Type: multipart/mixed\r\n\r\nx", ""),
        (HEAD + b'Content-Type: multipart/mixed; boundary=""\r\n\r\nx', ""),
        (
            HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
            "one\ntwo",
        ),
        (HEAD + b"\r\nnul\x00byte", "nulbyte"),
    ],
)
def test_odd_mail_gives_what_can_be_read(raw: bytes, text: str) -> None:
    assert read_mail(raw, "envelope@example.org").text == text


@pytest.mark.parametrize(
    ("field", "subject"),
    [
        (b"=?utf-8?q?gr=C3=BC=C3=9Fe?=", "grüße"),
        (b"=?no-such?q?x?=", "x"),
        (b"=?utf-8?b?!?=", ""),
        (b"two\r\n lines \x1b[31m", "two lines [31m"),
        (b"x" * 5_000, "x" * 1_000),
    ],
)
def test_subject_is_one_bounded_line(field: bytes, subject: str) -> None:
    assert " ".join(read_mail(b"Subject: " + field + b"\r\n\r\n", "").subject.split()) == subject


def _nested(depth: int) -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return opened + b"\r\ndeep"


def test_names_of_no_encoding_are_not_kept() -> None:
    looked_for = dict(encodings._cache)  # type: ignore[attr-defined]

    for number in range(3):
        name = f"no-such-mail-{number}".encode()
        head = b"Subject: =?%b?q?hi?=\r\nContent-Type: " % name
        assert read_mail(head + b"text/plain; charset=%b\r\n\r\nx" % name, "").text == "x"
        assert read_mail(head + b"text/plain; charset*=%b''%b\r\n\r\nx" % (name, name), "").text == "x"
        parted = head + b"multipart/mixed; boundary*=%b''cut\r\n\r\n--cut\r\n\r\nx\r\n--cut--\r\n" % name
        assert read_mail(parted, "") == Mail("", "hi", "x")

    assert encodings._cache == looked_for  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "raw",
    [
        _nested(20_000),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 130_000,
        b"".join(b"X-%d: y\r\n" % n for n in range(80_000)) + b"\r\n",
        b"Content-Type: text/plain" + b'; a="' * 200_000 + b"\r\n\r\n",
        b"Subject: " + b"=?utf-8?q?=41?= " * 60_000 + b"\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 250_000,
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 500_000,
    ],
    ids=["depth", "parts", "fields", "parameters", "words", "base64", "punycode"],
)
def test_bomb_is_read_in_no_time(raw: bytes) -> None:
    start = time.process_time()

    read_mail(raw[:1_048_576], "")

    assert time.process_time() - start < 1.0


def test_depth_is_bounded() -> None:
    assert read_mail(_nested(MAX_DEPTH - 1), "").text == "deep"
    assert read_mail(_nested(MAX_DEPTH + 1), "").text == ""


@pytest.mark.parametrize(
    ("settings", "subject", "text", "signal"),
    [
        ({}, "anything", "at all", Signal.SUCCESS),
        ({"only_post": True}, "anything", "", Signal.SUCCESS),
        ({"filters_subject": True}, "all done", "an error", Signal.SUCCESS),
        ({"filters_subject": True}, "done, but error", "", Signal.FAIL),
        ({"filters_subject": True}, "begin", "done", Signal.START),
        ({"filters_subject": True}, "", "done", Signal.IGNORED),
        ({"filters_body": True}, "error", "done", Signal.SUCCESS),
        ({"filters_body": True, "filters_subject": True}, "done", "error", Signal.FAIL),
        ({"filters_body": True, "filters_subject": True}, "er", "ror", Signal.IGNORED),
    ],
)
def test_keywords_decide_where_they_are_asked_for(
    settings: dict[str, bool], subject: str, text: str, signal: Signal
) -> None:
    config = HeartbeatConfig(
        success_keywords="done",
        failure_keywords="error",
        start_keywords="begin",
        **settings,  # type: ignore[arg-type]
    )
    raw = b"Subject: " + subject.encode() + b"\r\n\r\n" + text.encode()

    ping = mail_ping(TOKEN, read_mail(raw, "nas@example.org"), at=clock.now(), source_ip=None)

    assert signal_of(ping.report, config, State.UP) == signal


def test_subject_is_not_asked_of_what_is_no_mail() -> None:
    config = HeartbeatConfig(filters_subject=True, success_keywords="done")

    assert signal_of(Report(signal=Signal.SUCCESS, at=clock.now(), text="x"), config, State.UP) == Signal.SUCCESS


def test_ping_tells_sender_and_subject() -> None:
    ping = mail_ping(TOKEN, read_mail(HEAD + b"\r\nfine\r\n", ""), at=clock.now(), source_ip="203.0.113.9")

    assert (ping.method, ping.agent, ping.source_ip) == ("EMAIL", "nas@example.org: Backup", "203.0.113.9")
    assert ping.body == b"From: nas@example.org\nSubject: Backup\n\nfine\n"
