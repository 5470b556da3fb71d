"""The drift check: what should change only when somebody means it to, compared with an approved baseline.

The baseline is kept in the settings, where approving puts what a result has observed. A baseline that was taken with
other settings is none.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from time import monotonic
from typing import Any, ClassVar, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.answers import Answer
from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, TlsSettings
from apps.checks.types.baselines import GONE, Observed, drift_of, kept, read_baseline
from apps.checks.types.certificates import UnreadableCertificate, fingerprint, issuer_text, read_chain
from apps.checks.types.hiding import secrets_of, without_any
from apps.checks.types.http_fields import check_headers_field, check_url_field
from apps.checks.types.http_visit import Redirecting, Visit, outcome_of, visit
from apps.checks.types.json_queries import BadJson
from apps.checks.types.messages import Message
from apps.checks.types.patterns import MAX_LENGTH, PatternTooSlow, bounded_search, check_pattern
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.record_sets import RECORD_TYPES, record_set
from apps.checks.types.shapes import shape_of
from apps.checks.types.texts import printable
from apps.core.http.codings import UnreadableCoding
from apps.core.http.curl import Extras, OutboundRequest, Reply
from apps.core.http.headers import TOKEN, header_lines
from apps.core.http.urls import ParsedUrl, check_url
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

MAX_HEADERS = 12
VALUE_LENGTH = 80
SHOWN_CHANGES = 3
KEPT_CHANGES = 12


class Certificates(TextChoices):
    """What of a certificate chain is watched."""

    NONE = "none", _("Nothing")
    CHAIN = "chain", _("Every key of the chain")
    ISSUERS = "issuers", _("The issuers, not the server's own key")


def _check_names_field(names: Iterable[str]) -> None:
    listed = list(names)
    if len(listed) > MAX_HEADERS:
        raise ValidationError(_("At most %(max)s headers."), code="many", params={"max": MAX_HEADERS})
    for name in listed:
        if not TOKEN.fullmatch(name):
            raise ValidationError(
                _("“%(name)s” is not a header name: use letters, digits and hyphens."), params={"name": name[:60]}
            )


def _check_types_field(names: Iterable[str]) -> None:
    for name in names:
        if name.upper() not in RECORD_TYPES:
            raise ValidationError(
                _("“%(name)s” is not among the record types: %(known)s."),
                params={"name": name[:20], "known": ", ".join(RECORD_TYPES)},
            )


def _check_pattern_field(pattern: str) -> None:
    if pattern:
        check_pattern(pattern)


def _check_baseline_field(text: str) -> None:
    if text and not read_baseline(text):
        raise ValidationError(_("This is no baseline; leave it out to have one observed."), code="bad_baseline")


@dataclass(frozen=True, kw_only=True)
class DriftConfig(BaseConfig):
    """Which address, what of it, and how it was when somebody approved it."""

    url: str = setting(
        label=_("URL"),
        help=_("The full address, such as https://example.com/api."),
        widget=Widget.URL,
        placeholder="https://example.com/api",
        check=check_url_field,
    )
    watched_headers: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Watch these answer headers"),
        help=_("One name a line, such as Strict-Transport-Security."),
        max_length=1_000,
        check=_check_names_field,
    )
    watches_shape: bool = setting(
        False,
        label=_("Watch the shape of the JSON"),
        help=_("Keys and types of values, not the values. A value that is null fits every type."),
    )
    watches_body: bool = setting(
        False, label=_("Watch the body"), help=_("All of it up to the first MiB, or the part that the pattern finds.")
    )
    body_pattern: str = setting(
        "",
        label=_("Only this part of the body"),
        help=_("A regular expression; with a group, what the group finds."),
        max_length=MAX_LENGTH,
        check=_check_pattern_field,
    )
    certificate: str = setting(
        Certificates.NONE.value,
        label=_("Watch the certificates"),
        help=_("By the fingerprints of their keys. A renewal often brings a new key of the server's own."),
        choices=tuple((part.value, part.label) for part in Certificates),
    )
    record_types: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Watch these DNS records of the host"),
        help=_("One type a line, such as A, MX or NS."),
        max_length=200,
        check=_check_types_field,
    )
    headers: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Headers to send"),
        help=_("One “Name: value” a line. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
        check=check_headers_field,
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    baseline: str = setting(
        "",
        label=_("Baseline"),
        help=_("What was approved, as JSON. Approving a result on the check's page fills it in."),
        widget=Widget.HIDDEN,
        max_length=20_000,  # ten records of each type come to more than half of it
        check=_check_baseline_field,
    )

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        if not (self.asks_http or self.record_types or self.certificate != Certificates.NONE):
            errors["watched_headers"] = _("Choose at least one thing to watch.")
        if self.body_pattern and not self.watches_body:
            errors["body_pattern"] = _("The pattern needs the body to be watched.")
        if self.certificate != Certificates.NONE and self.address.scheme != "https":
            errors["certificate"] = _("Certificates need an https address.")
        if self.record_types and self.address.literal_ip:
            errors["record_types"] = _("An IP address has no DNS records; give a name.")
        if errors:
            raise ValidationError(errors)

    @property
    def asks_http(self) -> bool:
        return bool(self.watched_headers or self.watches_shape or self.watches_body)

    @cached_property
    def address(self) -> ParsedUrl:
        return check_url(self.url)

    @cached_property
    def request(self) -> OutboundRequest:
        return OutboundRequest(
            method="GET",
            url=self.address.url,
            header_lines=header_lines(self.headers),
            verify_tls=self.verify_tls,
            extras=Extras(keeps_headers=True) if self.watched_headers else None,
        )

    @cached_property
    def aspects(self) -> str:
        """Return what tells one choice of things to watch from another; a baseline holds for its own only."""
        chosen = [self.url, sorted(name.lower() for name in self.watched_headers), self.watches_shape]
        chosen += [self.watches_body, self.body_pattern, self.certificate, sorted(self.record_types)]
        return sha256(json.dumps(chosen).encode()).hexdigest()[:16]

    @cached_property
    def approved(self) -> Observed:
        """Return the baseline, empty where there is none for what is watched."""
        found = read_baseline(self.baseline)
        return found if found.get("of") == self.aspects else {}


class DriftCheck:
    """Compares what it finds with what was approved."""

    kind: ClassVar[str] = "drift"
    label: ClassVar[Text] = _("Drift")
    help: ClassVar[Text] = _("Tells when headers, JSON, a page, DNS records or certificates are no longer as approved.")
    icon: ClassVar[str] = "git-compare"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = DriftConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "drift_no_baseline": (
            _("Nothing has been approved yet to compare with."),
            _("Look at what was observed, and approve it on the check's page."),
        ),
        "drift": (
            _("No longer as approved: %(changes)s."),
            _("Undo the change, or approve the new state on the check's page."),
        ),
        "drift_not_json": (
            _("The answer is not JSON, or larger than one MiB."),
            _("Check the address, or do not watch the shape."),
        ),
        "drift_pattern_slow": (
            _("The regular expression takes too long on the answer."),
            _("Write a simpler one: nested repetitions are what takes time."),
        ),
        "drift_bad_certificate": (
            _("The server's certificate cannot be read."),
            _("Look at the server's certificate."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "changes": Fact(_("Changes")),
        "observed": Fact(_("Observed"), is_shown=False),  # the baseline's own part of the page shows it readably
    }

    def sample(self) -> DriftConfig:
        return DriftConfig(
            url="https://example.com/api",
            watched_headers=["Strict-Transport-Security"],
            watches_shape=True,
            certificate=Certificates.ISSUERS.value,
            record_types=["MX", "NS"],
        )

    def target(self, config: BaseConfig) -> str:
        return cast("DriftConfig", config).url.partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("DriftConfig", config)
        visits: list[Visit] = []

        async def talk(findings: Findings) -> None:
            found: Observed = {"of": wanted.aspects}
            if wanted.record_types:
                found["records"] = await record_set(context, wanted.address.host, wanted.record_types)
            if wanted.certificate != Certificates.NONE:
                found["certificates"] = await _certificates(context, wanted)
            if wanted.asks_http:
                deadline = monotonic() + context.timeout_seconds
                visits.append(
                    await visit(wanted.request, wanted.address, Redirecting(), context=context, deadline=deadline)
                )
                found.update(_read(visits[0], wanted))
            # Secrets that the server repeats are kept hidden, and so must be before the next look is compared.
            judge(without_any(found, secrets_of(wanted)), wanted, findings)

        outcome = await run_probe(context, talk)
        return _with_http(outcome, visits[0]) if visits else outcome


def _with_http(outcome: Outcome, seen: Visit) -> Outcome:
    """Return the outcome with the phases of the request, which are what people know; the total is that of everything."""
    of_http = outcome_of(seen.steps, code=outcome.error_code, values=outcome.error_values, details=outcome.details)
    return replace(of_http, verdict=outcome.verdict, total_ms=outcome.total_ms)


async def _certificates(context: ProbeContext, wanted: DriftConfig) -> list[str]:
    tls = TlsSettings(verify=wanted.verify_tls, alpn=("h2", "http/1.1"))
    stream = await context.net.open(wanted.address.host, wanted.address.port, tls=tls)
    try:
        chain = read_chain(stream.certificates())
    except UnreadableCertificate as error:
        raise ProbeFailure("drift_bad_certificate") from error
    finally:
        stream.close()
    listed = chain if wanted.certificate == Certificates.CHAIN else chain[1:]
    keys = [f"{printable(_subject(one), 40)} {_key_digest(one)}" for one in listed]
    return keys if wanted.certificate == Certificates.CHAIN else [printable(issuer_text(chain[0]), VALUE_LENGTH), *keys]


def _subject(certificate: x509.Certificate) -> str:
    try:
        return certificate.subject.rfc4514_string()
    except ValueError:  # a value that its own type forbids
        return GONE


def _key_digest(certificate: x509.Certificate) -> str:
    """Return the start of the SHA-256 over the public key (SPKI); over all of it where the key is of an unknown kind."""
    try:
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return fingerprint(certificate)[:32]
    return sha256(key).hexdigest()[:32]


def _read(seen: Visit, wanted: DriftConfig) -> Observed:
    """Return what of an answer is watched; raises `ProbeFailure` where there is nothing to look at."""
    if seen.code:
        raise ProbeFailure(seen.code, seen.values, is_ours=seen.is_ours)
    if not 200 <= seen.reply.status < 300:
        raise ProbeFailure("status_mismatch", {"status": seen.reply.status, "expected": "200-299"})
    answer = seen.answer()
    found: Observed = {}
    if wanted.watched_headers:
        names = sorted({name.lower() for name in wanted.watched_headers} & answer.headers.keys())
        found["headers"] = {name: _brief(answer.headers[name]) for name in names}
    if wanted.watches_body:
        found["body"] = _body(answer, wanted)
    if wanted.watches_shape:
        try:
            found["shape"] = shape_of(answer.document)
        except BadJson as error:
            raise ProbeFailure("drift_not_json") from error
    return found


def _body(answer: Answer, wanted: DriftConfig) -> str:
    if not wanted.body_pattern:
        return f"sha256 {sha256(_content(answer.reply)).hexdigest()[:32]}"
    try:
        match = bounded_search(wanted.body_pattern, answer.text)
    except PatternTooSlow as error:
        raise ProbeFailure("drift_pattern_slow") from error
    if match is None:
        return GONE
    return _brief(match[1] if match.re.groups and match[1] is not None else match[0])


def _content(reply: Reply) -> bytes:
    """Return what the body says: packed, it differs by the time at which it was. What nobody can unpack is taken as sent."""
    try:
        return reply.content
    except UnreadableCoding:
        return reply.body


def _brief(text: str) -> str:
    """Return a text as it stands, or its beginning and a digest where it is long."""
    line = printable(text, VALUE_LENGTH)
    return line if line == text else f"{line} #{sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def judge(found: Observed, wanted: DriftConfig, findings: Findings) -> None:
    """Compare with the baseline; what was observed is kept where there is something to approve."""
    changes = list(drift_of(wanted.approved, found)) if wanted.approved else []
    if wanted.approved and not changes:
        return
    findings.details["observed"] = kept(found)
    if not wanted.approved:
        # Not a word about the target: there is nothing yet to hold it against.
        raise ProbeFailure("drift_no_baseline", is_ours=True)
    texts = [printable(str(change), 120) for change in changes]
    findings.details["changes"] = texts[:KEPT_CHANGES]
    more = f" (+{len(texts) - SHOWN_CHANGES})" if len(texts) > SHOWN_CHANGES else ""
    raise ProbeFailure("drift", {"changes": "; ".join(texts[:SHOWN_CHANGES]) + more, "count": len(texts)})
