"""Pings by e-mail: a real mail client, a real socket, the real process."""

import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme
from django.conf import settings

from apps.checks.domain.heartbeats import ping_key
from apps.checks.enums import State
from apps.checks.mail_door import MAX_CONNECTIONS_PER_SENDER
from apps.checks.models import MAX_BODY_BYTES, Check, Ping
from apps.checks.models import PingDoor as Sign
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_ping_door import ClosedDatabase, wait_for
from tests.checks.test_pings import heartbeat, state_of, token_of
from tests.peers.certificates import TlsFiles, tls_files

pytestmark = pytest.mark.django_db(transaction=True)
DOMAIN = "ping.example"
SENDER = "nas@example.org"
LETTER = "From: NAS <nas@example.org>\r\nSubject: Backup OK\r\n\r\n42 files\r\n"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_files(authority, tmp_path_factory.mktemp("tls"))


@contextmanager
def mail_process(tls: TlsFiles) -> Iterator[int]:
    """Run the mail process on a socket of its own; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.run.mail", str(listener.fileno())],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "config.settings.test",
                "PING_MAIL_DOMAIN": DOMAIN,
                "PING_MAIL_CERTIFICATE": str(tls.certificate),
                "PING_MAIL_KEY": str(tls.key),
            },
            cwd=settings.BASE_DIR,
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()[1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def port(tls: TlsFiles) -> Iterator[int]:
    with mail_process(tls) as port:
        yield port


@pytest.fixture
def client(port: int) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="nas.example.org", timeout=60) as client:
        yield client


@pytest.fixture
def scope(acme: Tenant) -> Iterator[Tenant]:
    with tenant_scope(acme.id):
        yield acme


@pytest.fixture
def check(scope: Tenant) -> Check:
    return heartbeat()


def address_of(check: Check) -> str:
    return f"{token_of(check)}@{DOMAIN}"


def signals() -> list[str]:
    return list(Ping.objects.order_by("number").values_list("signal", flat=True))


def test_mail_is_stored_before_it_is_accepted(client: smtplib.SMTP, check: Check) -> None:
    client.ehlo()
    client.mail(SENDER)
    client.rcpt(address_of(check))

    answer = client.data(LETTER)

    kept = Ping.objects.get()
    assert answer == (250, b"2.0.0 Stored")
    assert (kept.signal, kept.method, kept.source_ip) == ("success", "EMAIL", "127.0.0.1")
    assert kept.agent == "NAS <nas@example.org>: Backup OK"
    assert kept.text == "From: NAS <nas@example.org>\nSubject: Backup OK\n\n42 files\n"
    assert state_of(check) == State.UP


def test_keywords_in_the_subject_decide(client: smtplib.SMTP, scope: Tenant) -> None:
    config = HeartbeatConfig(filters_subject=True, success_keywords="OK", failure_keywords="FAILED")
    check = heartbeat(config=config)

    for subject in ("Backup OK", "Backup FAILED", "Newsletter"):
        client.sendmail(SENDER, [address_of(check)], f"Subject: {subject}\r\n\r\n")

    assert signals() == ["success", "fail", "ign"]
    assert state_of(check) == State.DOWN


def test_mail_to_several_heartbeats_reaches_each_once(client: smtplib.SMTP, check: Check) -> None:
    other = heartbeat("Other")

    client.sendmail(SENDER, [address_of(check), address_of(other), address_of(check)], LETTER)

    assert sorted(ping.watched_id for ping in Ping.objects.all()) == sorted([check.id, other.id])


def test_mail_by_ping_key_and_name(client: smtplib.SMTP, check: Check) -> None:
    twins = [heartbeat("Twin"), heartbeat("Twin")]
    client.ehlo()
    client.mail(SENDER)

    answers = [client.rcpt(f"{ping_key()}+{name}@{DOMAIN}") for name in ("backup", "twin", "other")]
    kept = client.data(LETTER)

    assert [code for code, _text in answers] == [250, 550, 550]
    assert answers[1][1] == b"5.1.4 Several heartbeats have this name"
    assert kept == (250, b"2.0.0 Stored")
    assert [ping.watched_id for ping in Ping.objects.all()] == [check.id]
    assert {state_of(twin) for twin in twins} == {State.NEW}


def test_whom_it_does_not_serve_hears_so_at_once(client: smtplib.SMTP, check: Check) -> None:
    token = token_of(check)
    strangers = (
        *(f"{UNKNOWN}@{DOMAIN}", f"postmaster@{DOMAIN}", f"{token}@example.org", f"{token}@{DOMAIN}.example.org"),
        *(f"{token}%example.org@{DOMAIN}", f"@{DOMAIN}:{token}@example.org", f"nul\x00@{DOMAIN}", "root"),
    )
    client.ehlo()
    client.mail(SENDER)

    answers = [client.docmd(f"RCPT TO:<{address}>")[0] for address in strangers]

    assert set(answers) <= {501, 550, 553}
    assert answers[:3] == [550, 550, 550]
    assert client.docmd("DATA")[0] == 503
    assert not Ping.objects.exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        *(
            ("MAIL", 501),
            ("MAIL FROM:", 501),
            ("RCPT TO:<a@b>", 503),
            ("DATA", 503),
            ("VRFY root", 252),
            ("EXPN a", 502),
        ),
        *(("AUTH LOGIN", 500), ("TURN", 500), ("GET / HTTP/1.1", 500), ("\x16\x03\x01", 500), ("X" * 2_000, 500)),
        *(("MAIL FROM:<a@b> SIZE=x", 501), ("MAIL FROM:<a@b> BODY=BINARYMIME", 501), ("STARTTLS now", 501)),
    ],
)
def test_bad_command_is_refused_and_the_line_stays(client: smtplib.SMTP, check: Check, line: str, code: int) -> None:
    client.ehlo()

    assert client.docmd(line)[0] in (code, 500, 501, 502, 538)
    assert client.docmd("NOOP")[0] == 250


def test_mail_beyond_a_mebibyte_is_refused(client: smtplib.SMTP, check: Check) -> None:
    client.ehlo()
    assert client.esmtp_features["size"] == str(MAX_BODY_BYTES)

    declared = client.docmd(f"MAIL FROM:<{SENDER}> SIZE={MAX_BODY_BYTES + 1}")[0]
    client.mail(SENDER)
    client.rcpt(address_of(check))
    sent = client.data("x" * 900 + ("\r\n" + "x" * 900) * 1_200)[0]

    assert (declared, sent) == (552, 552)
    assert not Ping.objects.exists()
    client.sendmail(SENDER, [address_of(check)], LETTER)  # the line still serves
    assert signals() == ["success"]


def test_lone_line_feeds_end_no_mail(client: smtplib.SMTP, check: Check) -> None:
    client.ehlo()
    client.mail(SENDER)
    client.rcpt(address_of(check))
    client.docmd("DATA")

    client.send(f"one\r\n\n.\nMAIL FROM:<{SENDER}>\n.\r\ntwo\r\n.\r\n")

    assert client.getreply()[0] == 250
    assert Ping.objects.count() == 1


def test_mail_comes_encrypted_where_there_is_a_certificate(
    client: smtplib.SMTP, check: Check, authority: trustme.CA
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client._host = "localhost"  # type: ignore[attr-defined]  # whom the certificate names

    client.starttls(context=context)
    client.sendmail(SENDER, [address_of(check)], LETTER)

    assert isinstance(client.sock, ssl.SSLSocket)
    assert signals() == ["success"]


def test_senders_server_shall_try_again_while_the_database_is_away(client: smtplib.SMTP, check: Check) -> None:
    address = address_of(check)
    client.ehlo()
    client.mail(SENDER)
    client.rcpt(address)
    with ClosedDatabase():
        unstored = client.data(LETTER)[0]
        client.mail(SENDER)
        unasked = client.rcpt(address)[0]

    client.rset()
    client.sendmail(SENDER, [address], LETTER)

    assert (unstored, unasked) == (451, 451)
    assert signals() == ["success"]


@pytest.mark.usefixtures("port")
def test_door_gives_a_sign_of_life_of_its_own() -> None:
    wait_for(Sign.objects.exists)

    assert list(Sign.objects.values_list("name", flat=True)) == ["mail"]


def test_guessing_is_slowed_down(client: smtplib.SMTP, check: Check) -> None:
    client.ehlo()
    client.mail(SENDER)

    answers = []
    while 452 not in answers and len(answers) < 500:  # some come in again while a busy machine takes its time to ask
        answers.append(client.rcpt(f"{len(answers):08}-0000-4000-8000-000000000000@{DOMAIN}")[0])

    assert (answers[0], answers[-1]) == (550, 452)


def test_job_behind_a_guessers_mail_server_is_let_in(client: smtplib.SMTP, check: Check) -> None:
    """As where a mail server hands a whole domain on: every mail comes from its address."""
    guesses = (f"{number:08}-0000-4000-8000-000000000000@{DOMAIN}" for number in range(500))
    client.ehlo()
    client.mail(SENDER)
    while client.rcpt(next(guesses))[0] != 452:
        pass

    answers = [client.rcpt(address)[0] for address in (address_of(check), f"{ping_key()}+backup@{DOMAIN}")]

    assert answers == [250, 250]
    assert client.data(LETTER)[0] == 250


def test_one_sender_has_so_many_lines_at_most(port: int) -> None:
    lines = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(MAX_CONNECTIONS_PER_SENDER)]
    greetings = [line.recv(1_000)[:4] for line in lines]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as extra:
        refused = extra.recv(1_000)

    for line in lines:
        line.close()

    assert greetings == [b"220 "] * MAX_CONNECTIONS_PER_SENDER
    assert refused.startswith(b"421 ")


def test_endless_line_ends(client: smtplib.SMTP, check: Check) -> None:
    client.ehlo()
    client.mail(SENDER)
    client.rcpt(address_of(check))
    client.docmd("DATA")

    with pytest.raises(OSError):  # noqa: PT011 - whichever end of a broken line is noticed first
        client.sock.sendall(b"x" * 64 * MAX_BODY_BYTES)  # type: ignore[union-attr]

    assert not Ping.objects.exists()
