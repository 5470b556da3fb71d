"""Getting one document over HTTP, for the check types that read what it says: redirects followed, phases summed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from apps.checks.enums import Verdict
from apps.checks.types.base import NO_DETAILS, NO_VALUES, Exchange, Outcome, ProbeContext
from apps.core.http.curl import OutboundRequest, Reply
from apps.core.http.urls import BadUrl, ParsedUrl, check_url

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a GET and its redirects brought. ``code`` is empty where an answer came, whatever its status."""

    steps: tuple[Exchange, ...]
    code: str = ""
    values: Mapping[str, str | int] = field(default_factory=lambda: NO_VALUES)
    is_ours: bool = False

    @property
    def reply(self) -> Reply:
        return self.steps[-1].reply

    def outcome(
        self,
        verdict: Verdict = Verdict.SUCCESS,
        code: str = "",
        values: Mapping[str, str | int] = NO_VALUES,
        details: Mapping[str, Any] = NO_DETAILS,
    ) -> Outcome:
        """Return the caller's verdict with the times; a document that did not come is a failure whatever the caller thinks."""
        if self.code:
            verdict = Verdict.UNKNOWN if self.is_ours else Verdict.FAILURE
            code, values = self.code, self.values
        reply = self.reply
        return Outcome(
            verdict=verdict,
            error_code=code,
            error_values=values,
            **_phases(self.steps),
            status_code=reply.status or None,
            remote_ip=reply.remote_ip or None,
            body_bytes=len(reply.body),
            is_truncated=reply.is_truncated,
            http_version=reply.http_version,
            cert_expires_at=reply.cert_expires_at,
            redirects=len(self.steps) - 1,
            details=details,
        )


async def fetch(request: OutboundRequest, address: ParsedUrl, context: ProbeContext) -> Fetched:
    """Get ``request``, at most five redirects further. Own headers stay with the host that they were meant for."""
    deadline = monotonic() + context.timeout_seconds
    steps: list[Exchange] = []
    while True:
        seconds = max(0.001, deadline - monotonic())
        step = await context.http.exchange(request, address, context=context, timeout_seconds=seconds)
        steps.append(step)
        reply = step.reply
        if reply.failure is not None:
            return Fetched(tuple(steps), reply.failure.code, reply.failure.values, reply.failure.is_ours)
        if reply.status not in REDIRECTS or not reply.redirect_url:
            return Fetched(tuple(steps))
        if len(steps) > MAX_REDIRECTS:
            return Fetched(tuple(steps), "too_many_redirects", {"count": MAX_REDIRECTS})
        try:
            onward = check_url(reply.redirect_url)
        except BadUrl as error:
            return Fetched(tuple(steps), "bad_redirect", {"reason": error.code})
        lines = request.header_lines if onward.origin == address.origin else ()
        request, address = replace(request, url=onward.url, header_lines=lines), onward


def _phases(steps: Iterable[Exchange]) -> dict[str, float | None]:
    """Return the times of all steps together, in milliseconds; None for a phase that no step finished."""
    sums: dict[str, float | None] = dict.fromkeys(
        ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms", "total_ms")
    )
    for step in steps:
        for name, microseconds in _spans(step):
            sums[name] = round((sums[name] or 0) + max(0, microseconds) / 1_000, 2)
    return sums


def _spans(step: Exchange) -> Iterable[tuple[str, int]]:
    reply = step.reply
    if step.dns_us:
        yield "dns_ms", step.dns_us
    if reply.connected_us:
        yield "connect_ms", reply.connected_us - reply.resolved_us
    if reply.secured_us:
        yield "tls_ms", reply.secured_us - reply.connected_us
    if reply.status:
        yield "first_byte_ms", reply.first_byte_us - (reply.sent_us or reply.secured_us or reply.connected_us)
        yield "transfer_ms", reply.total_us - reply.first_byte_us
    yield "total_ms", step.dns_us + reply.total_us
