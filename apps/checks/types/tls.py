"""The TLS check: how long the certificate lasts, who issued it, and what the server speaks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, cast

from cryptography import x509
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types import certificates
from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, Stream, TlsSettings
from apps.checks.types.hosts import NetworkConfig, bare_host, host_setting, place, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.texts import printable
from apps.core import clock
from apps.core.http.failures import CERTIFICATE_CODES
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

VERSIONS = ("TLSv1.2", "TLSv1.3")
FINGERPRINT = re.compile(r"(?:[0-9A-Fa-f]{2}[: ]?){31}[0-9A-Fa-f]{2}")
# What the handshake found wrong with a certificate that can still be looked at.
CERTIFICATE_FAULTS = frozenset({*CERTIFICATE_CODES.values(), "tls_invalid"})
DAY = timedelta(days=1)


class Prelude(TextChoices):
    """What is said in clear before the handshake."""

    NONE = "none", _("Nothing: TLS from the first byte")
    SMTP = "smtp", _("SMTP (STARTTLS)")
    IMAP = "imap", _("IMAP (STARTTLS)")
    POP3 = "pop3", _("POP3 (STLS)")


# Per prelude: what is sent, and how the last line of the answer begins. Nothing sent means that the server greets.
PRELUDES: Mapping[str, tuple[tuple[bytes, bytes], ...]] = {
    Prelude.NONE: (),
    Prelude.SMTP: ((b"", b"220 "), (b"EHLO probe.invalid\r\n", b"250 "), (b"STARTTLS\r\n", b"220 ")),
    Prelude.IMAP: ((b"", b"* OK"), (b"a STARTTLS\r\n", b"a OK")),
    Prelude.POP3: ((b"", b"+OK"), (b"STLS\r\n", b"+OK")),
}
MAX_LINES = 100


def _check_fingerprint(text: str) -> None:
    if not FINGERPRINT.fullmatch(text):
        raise ValidationError(_("Give the SHA-256 fingerprint: 64 hexadecimal digits."), code="fingerprint")


@dataclass(frozen=True, kw_only=True)
class TlsConfig(NetworkConfig):
    """Whose certificate a TLS check looks at, and what it should be like."""

    host: str = host_setting()
    port: int = port_setting(443)
    server_name: str = setting("", label=_("Server name"), help=_("Asked for instead of the host."), max_length=255)
    prelude: str = setting(
        Prelude.NONE.value,
        label=_("Before the handshake"),
        choices=tuple((kind.value, kind.label) for kind in Prelude),
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when it is expired, of an unknown issuer or for another name."),
    )
    warn_days: int = setting(
        14,
        label=_("Warn below (days)"),
        help=_("The check is degraded when the certificate, or one of its issuers', ends sooner."),
        low=0,
        high=1_000,
    )
    fail_days: int = setting(
        3, label=_("Fail below (days)"), help=_("The check fails when it ends sooner."), low=0, high=1_000
    )
    lowest_version: str = setting(
        "TLSv1.2", label=_("Oldest TLS version"), choices=tuple((version, version) for version in VERSIONS)
    )
    issuer: str = setting(
        "", label=_("Issuer contains"), help=_("Text of the issuer's name, such as O=Let's Encrypt."), max_length=200
    )
    fingerprint: str = setting(
        "",
        label=_("Fingerprint"),
        help=_("SHA-256 of the one certificate that is right."),
        max_length=200,
        check=_check_fingerprint,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if not errors and self.fail_days > self.warn_days:
            errors["fail_days"] = _("This must not be more than the days of the warning.")
        return errors

    def settings(self, *, verify: bool) -> TlsSettings:
        return TlsSettings(verify=verify, server_name=self.server_name)


class TlsCheck:
    """Looks at a server's certificate."""

    kind: ClassVar[str] = "tls"
    label: ClassVar[Text] = _("TLS certificate")
    help: ClassVar[Text] = _("Warns before a certificate ends, and looks at its issuer, names and TLS version.")
    icon: ClassVar[str] = "certificate"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = TlsConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "certificate_ends_soon": (
            _("The certificate ends in %(days)s days, on %(date)s."),
            _("Renew it and load it into the server; where an issuer's ends first, send the new chain."),
        ),
        "certificate_ended": (
            _("The certificate, or one of its issuers', ended on %(date)s."),
            _("Renew it and load it into the server; where an issuer's has ended, send the new chain."),
        ),
        "tls_version_old": (
            _("The server speaks %(version)s; %(expected)s or newer is expected."),
            _("Switch the newer version on at the server."),
        ),
        "issuer_unmet": (
            _("The certificate was issued by %(issuer)s."),
            _("Load the right certificate, or change the expected issuer."),
        ),
        "fingerprint_unmet": (
            _("The certificate is another one: its fingerprint is %(fingerprint)s."),
            _("If it was renewed, enter the new fingerprint; otherwise find out who answers here."),
        ),
        "prelude_refused": (
            _("The server refused to begin TLS (%(answer)s)."),
            _("Check the port, the protocol, and that the server offers TLS."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "days_left": Fact(_("Days left"), _("days")),
        "not_after": Fact(_("Valid until")),
        "not_before": Fact(_("Valid from")),
        "subject": Fact(_("Issued to")),
        "names": Fact(_("Names")),
        "issuer": Fact(_("Issuer")),
        "chain": Fact(_("Chain")),
        "key": Fact(_("Key")),
        "sha256": Fact(_("Fingerprint (SHA-256)")),
        "serial": Fact(_("Serial number")),
        "tls_version": Fact(_("TLS version")),
    }

    def sample(self) -> TlsConfig:
        return TlsConfig(host="example.com", warn_days=21, fail_days=7)

    def target(self, config: BaseConfig) -> str:
        wanted = cast("TlsConfig", config)
        return place(wanted.host, wanted.port)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("TlsConfig", config)

        async def talk(findings: Findings) -> None:
            try:
                await _look_and_judge(wanted, context, findings)
            except certificates.UnreadableCertificate as error:
                raise ProbeFailure("tls_invalid", {"detail": str(error)}) from error

        return await run_probe(context, talk)


async def _look_and_judge(wanted: TlsConfig, context: ProbeContext, findings: Findings) -> None:
    try:
        stream = await _secured(wanted, context, verify=wanted.verify_tls)
    except ProbeFailure as failure:
        if failure.code not in CERTIFICATE_FAULTS:
            raise
        # A refused certificate ends the handshake before it can be read: look at it without judging.
        _look(await _secured(wanted, context, verify=False), findings)
        raise
    chain = _look(stream, findings)
    _judge(wanted, chain, stream.tls_version(), findings)


async def _secured(wanted: TlsConfig, context: ProbeContext, *, verify: bool) -> Stream:
    settings = wanted.settings(verify=verify)
    if wanted.prelude == Prelude.NONE:
        return await context.net.open(bare_host(wanted.host), wanted.port, tls=settings)
    stream = await context.net.open(bare_host(wanted.host), wanted.port)
    for said, expected in PRELUDES[wanted.prelude]:
        if said:
            await stream.write(said)
        await _await_line(stream, expected)
    await stream.start_tls(settings)
    return stream


async def _await_line(stream: Stream, expected: bytes) -> None:
    """Read to the line that begins as expected; the lines before it continue what it ends."""
    for _line in range(MAX_LINES):
        line = await stream.read_until(b"\n", limit=4_096)
        if line.startswith(expected):
            return
        is_aside = line.startswith(b"* ") and not expected.startswith(b"*")  # IMAP: news may come at any time
        if not is_aside and not line.startswith(expected.strip() + b"-"):
            break
    raise ProbeFailure("prelude_refused", {"answer": printable(line, 200)})


def _look(stream: Stream, findings: Findings) -> tuple[x509.Certificate, ...]:
    """Note what the certificate says."""
    chain = certificates.read_chain(stream.certificates())
    if not chain:
        raise ProbeFailure("tls_invalid", {"detail": "no certificate"})
    end = certificates.first_end(chain)
    left = end - clock.now()
    findings.cert_expires_at = end
    findings.details.update(certificates.facts_of(chain), days_left=left // DAY, tls_version=stream.tls_version())
    return chain


def _judge(wanted: TlsConfig, chain: tuple[x509.Certificate, ...], version: str, findings: Findings) -> None:
    found = certificates.fingerprint(chain[0])
    if wanted.fingerprint and found != wanted.fingerprint.lower().replace(":", "").replace(" ", ""):
        raise ProbeFailure("fingerprint_unmet", {"fingerprint": found})
    issuer = certificates.issuer_text(chain[0])
    if wanted.issuer and wanted.issuer.lower() not in issuer.lower():
        raise ProbeFailure("issuer_unmet", {"issuer": issuer})
    if version < wanted.lowest_version:  # "TLSv1" < "TLSv1.1" < …
        raise ProbeFailure("tls_version_old", {"version": version, "expected": wanted.lowest_version})
    end = certificates.first_end(chain)
    left = end - clock.now()
    if left < timedelta():  # seen where nothing is verified, and for issuers that a client need not follow
        raise ProbeFailure("certificate_ended", {"date": f"{end:%Y-%m-%d}"})
    values: Mapping[str, str | int] = {"days": left // DAY, "date": f"{end:%Y-%m-%d}"}
    if left < wanted.fail_days * DAY:
        raise ProbeFailure("certificate_ends_soon", values)
    if left < wanted.warn_days * DAY:
        findings.warning = ("certificate_ends_soon", values)
