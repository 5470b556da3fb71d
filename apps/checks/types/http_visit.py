"""Visiting a web address: one request and the redirects that follow it, with what goes along and what stays behind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

from apps.checks.enums import Verdict
from apps.checks.types.answers import Answer
from apps.checks.types.base import NO_DETAILS, NO_VALUES, Exchange, Outcome, ProbeContext
from apps.checks.types.cookies import CookieJar
from apps.checks.types.hiding import holds_secret
from apps.checks.types.owners import owned_domain
from apps.core.http.curl import OutboundRequest, Reply
from apps.core.http.urls import BadUrl, ParsedUrl, check_url

# Failures of which the target knows nothing.
NOT_ASKED = frozenset({"address_forbidden", "bad_url", "client_certificate_refused", "proxy_failed", "proxy_refused"})
# With these a proxy says that it asked and heard nothing (RFC 9110, 15.6.3 to 15.6.5).
TARGET_SILENT = frozenset({502, 503, 504})
METHODS_WITHOUT_BODY = ("GET", "HEAD")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SEE_OTHER = 303
REDIRECTS_TO_GET = frozenset({301, 302, SEE_OTHER})
DEFAULT_PORTS = (("http", 80), ("https", 443))
# What may be said to anybody; "Expect:" takes a header away that libcurl would add.
HARMLESS = frozenset({"accept", "accept-language", "content-type", "expect", "user-agent"})
OF_BODY = ("content-", "expect")


@dataclass(frozen=True, slots=True)
class Redirecting:
    """Whether, how often and whereto redirects are followed."""

    is_followed: bool = True
    most: int = 10
    same_host_only: bool = False


class Visit(NamedTuple):
    """What was exchanged, and the problem that ended it early (an empty code where the last reply is to be judged)."""

    steps: list[Exchange]
    address: ParsedUrl
    code: str = ""
    values: Mapping[str, str | int] = NO_VALUES
    is_ours: bool = False

    @property
    def reply(self) -> Reply:
        return self.steps[-1].reply

    @property
    def is_unanswered(self) -> bool:
        """Tell whether the target was asked and gave no answer, not even one that leads elsewhere."""
        is_silent = len(self.steps) == 1 and self.reply.failure is not None
        is_asked = self.code not in NOT_ASKED or (
            self.code == "proxy_refused" and self.values.get("status") in TARGET_SILENT
        )
        return is_silent and not self.is_ours and is_asked

    def answer(self, domain_ends_at: datetime | None = None) -> Answer:
        """Return the last reply for assertions."""
        elapsed_us = sum(step.dns_us + step.reply.total_us for step in self.steps)
        return Answer(self.reply, elapsed_us / 1_000, domain_ends_at)


async def visit(
    request: OutboundRequest,
    address: ParsedUrl,
    redirecting: Redirecting,
    *,
    context: ProbeContext,
    deadline: float,
    jar: CookieJar | None = None,
    secrets: Iterable[str] = (),
) -> Visit:
    """Send ``request`` and follow redirects until an answer, a failure or the ``deadline`` (of `monotonic`).

    Own headers, credentials and client certificates stay with the origin that they were meant for, a body with
    ``secrets`` with the domain that it was meant for; with a ``jar``, cookies go where they belong (the request must
    keep its headers for that).
    """
    steps: list[Exchange] = []
    while True:
        seconds = max(0.001, deadline - monotonic())
        sent = request if jar is None else replace(request, header_lines=jar.with_own(request.header_lines, address))
        step = await context.http.exchange(sent, address, context=context, timeout_seconds=seconds)
        reply = step.reply
        steps.append(step)
        if reply.failure is not None:
            return Visit(steps, address, reply.failure.code, reply.failure.values, reply.failure.is_ours)
        if jar is not None:
            jar.keep(reply.header_lines, address)
        if not redirecting.is_followed or reply.status not in REDIRECTS or not reply.redirect_url:
            return Visit(steps, address)
        if len(steps) > redirecting.most:
            return Visit(steps, address, "too_many_redirects", {"count": redirecting.most})
        try:
            onward = check_url(reply.redirect_url)
        except BadUrl as error:
            return Visit(steps, address, "bad_redirect", {"reason": error.code})
        if redirecting.same_host_only and onward.host != address.host:
            return Visit(steps, address, "redirect_elsewhere", {"host": onward.host})
        reply.forget()  # of many redirects, each with a MiB
        request = _as_redirected(request, reply.status, onward)
        if not _is_same_place(address, onward):
            tells = request.body and holds_secret(request.body.decode("utf-8", "replace"), secrets)
            if tells and not await _is_same_owner(address, onward):
                return Visit(steps, address, "redirect_with_secrets", {"place": f"{onward.scheme}://{onward.host}"})
            request = _for_strangers(request, secrets)
        address = onward


def _as_redirected(request: OutboundRequest, status: int, there: ParsedUrl) -> OutboundRequest:
    """Return the request with the method that the status asks for: of 301 and 302, only POST becomes GET (RFC 9110, 15.4)."""
    becomes_get = request.method not in METHODS_WITHOUT_BODY if status == SEE_OTHER else request.method == "POST"
    if not becomes_get or status not in REDIRECTS_TO_GET:
        return replace(request, url=there.url)
    lines = tuple(line for line in request.header_lines if not _name(line).startswith(OF_BODY))
    return replace(request, url=there.url, header_lines=lines, method="GET", body=None)


def _is_same_place(here: ParsedUrl, there: ParsedUrl) -> bool:
    """Tell whether what is secret may go along: to the same origin, or to the same host's usual way of being secure."""
    is_secured = ((here.scheme, here.port), (there.scheme, there.port)) == DEFAULT_PORTS
    return here.origin == there.origin or (is_secured and here.host == there.host)


async def _is_same_owner(here: ParsedUrl, there: ParsedUrl) -> bool:
    """Tell whether a body with secrets may go along: from "shop.example" to "www.shop.example", secured."""
    ports = (here.scheme, here.port), (there.scheme, there.port)
    is_secure = there.scheme == "https" and (ports[0] == ports[1] or ports == DEFAULT_PORTS)
    if not is_secure or here.literal_ip or there.literal_ip:
        return False
    owned = await owned_domain(here.host)
    return bool(owned) and owned == await owned_domain(there.host)


def _for_strangers(request: OutboundRequest, secrets: Iterable[str]) -> OutboundRequest:
    """Return the request without what is secret."""
    extras = request.extras
    if extras is not None:
        extras = replace(extras, client_certificate="", client_key="")
    lines = tuple(
        line
        for line in request.header_lines
        if _name(line) in HARMLESS and not holds_secret(line.decode("utf-8", "replace"), secrets)
    )
    return replace(request, header_lines=lines, extras=extras)


def _name(line: bytes) -> str:
    """Return the name of a header as libcurl is given it, "Name;" where its value is empty."""
    return line.partition(b":")[0].partition(b";")[0].decode("utf-8", "replace").strip().lower()


def outcome_of(
    steps: list[Exchange],
    *,
    code: str = "",
    values: Mapping[str, str | int] = NO_VALUES,
    is_ours: bool = False,
    details: Mapping[str, Any] = NO_DETAILS,
) -> Outcome:
    """Sum the phases of all steps; status, address and certificate are those of the last."""
    last = steps[-1].reply
    phases = [_phases(step) for step in steps]
    dns, connect, tls, first_byte, transfer, total = (
        phases[0] if len(steps) == 1 else map(_sum, zip(*phases, strict=True))
    )
    return Outcome(
        verdict=Verdict.UNKNOWN if is_ours else Verdict.FAILURE if code else Verdict.SUCCESS,
        error_code=code,
        error_values=values,
        dns_ms=dns,
        connect_ms=connect,
        tls_ms=tls,
        first_byte_ms=first_byte,
        transfer_ms=transfer,
        total_ms=total,
        status_code=last.status or None,
        remote_ip=last.remote_ip or None,
        body_bytes=len(last.body),
        is_truncated=last.is_truncated,
        http_version=last.http_version,
        cert_expires_at=last.cert_expires_at,
        certificates=last.certificates,
        redirects=len(steps) - 1,
        details=details,
    )


def _phases(step: Exchange) -> tuple[float | None, ...]:
    """Return dns, connect, tls, first byte, transfer and total in milliseconds; None for a phase that was not finished."""
    reply, dns = step.reply, step.dns_us
    ready = reply.secured_us or reply.connected_us
    begun = reply.sent_us or ready
    return (
        _ms(dns) if dns else None,
        _ms(reply.connected_us - reply.resolved_us) if reply.connected_us else None,
        _ms(reply.secured_us - reply.connected_us) if reply.secured_us else None,
        _ms(reply.first_byte_us - begun) if reply.status else None,
        _ms(reply.total_us - reply.first_byte_us) if reply.status else None,
        _ms(dns + reply.total_us),
    )


def _ms(microseconds: int) -> float:
    return round(max(0, microseconds) / 1_000, 2)


def _sum(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 2) if known else None
