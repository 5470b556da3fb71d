"""One talk with a server over `ProbeContext.net`, as an `Outcome`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from time import perf_counter
from typing import Any

from apps.checks.enums import Verdict
from apps.checks.types.base import NO_VALUES, Outcome, Phases, ProbeContext, ProbeFailure
from apps.checks.types.certificates import UnreadableCertificate, first_end, read_chain

# The connections keep the deadline themselves and know what they were at; this is for what hangs beside them.
GRACE_SECONDS = 0.25
KNOWN_PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")


@dataclass(slots=True)
class Findings:
    """What a talk found out. It counts where the talk ends in a failure too; see `Outcome` for the meaning.

    ``cert_expires_at`` is filled in from the connection where a talk does not set it. ``warning`` is a code and its
    values that make a good outcome a degraded one. ``total_ms`` is given where the talk's length is not what is measured.
    """

    details: dict[str, Any] = field(default_factory=dict)
    status_code: int | None = None
    cert_expires_at: datetime | None = None
    total_ms: float | None = None
    warning: tuple[str, Mapping[str, str | int]] | None = None


Talk = Callable[[Findings], Awaitable[None]]


async def run_probe(context: ProbeContext, talk: Talk) -> Outcome:
    """Run ``talk`` within the probe's time and return what it saw, with the phases of its connections.

    ``talk`` speaks through ``context.net``, writes into the `Findings` it is given, returns when all is well and raises
    `ProbeFailure` when it is not. Running out of time is a failure of the phase it happened in.
    """
    began = perf_counter()
    findings = Findings()
    code, values, is_ours = "", NO_VALUES, False
    try:
        async with asyncio.timeout(context.timeout_seconds + GRACE_SECONDS):
            await talk(findings)
    except ProbeFailure as failure:
        code, values, is_ours = failure.code, failure.values, failure.is_ours
    except TimeoutError:
        code = "timeout" if context.net.phases.first_byte_ms is None else "transfer_timeout"
    except EOFError:  # what protocol libraries raise where an answer is cut short
        code = "connection_lost"
    total_ms = round((perf_counter() - began) * 1_000, 2)
    verdict = Verdict.UNKNOWN if is_ours else Verdict.FAILURE if code else Verdict.SUCCESS
    if not code and findings.warning is not None:
        verdict, (code, values) = Verdict.DEGRADED, findings.warning
    return _outcome(context, findings, verdict, (code, values), total_ms)


def _outcome(
    context: ProbeContext,
    findings: Findings,
    verdict: Verdict,
    problem: tuple[str, Mapping[str, str | int]],
    total_ms: float,
) -> Outcome:
    phases = context.net.phases
    ends = findings.cert_expires_at
    chain = phases.certificates if context.reads_certificate else ()
    if ends is None and chain:
        ends = chain_end(chain)
    return Outcome(
        verdict=verdict,
        error_code=problem[0],
        error_values=problem[1],
        dns_ms=phases.dns_ms,
        connect_ms=phases.connect_ms,
        tls_ms=phases.tls_ms,
        first_byte_ms=phases.first_byte_ms,
        transfer_ms=_rest(phases, total_ms) if findings.total_ms is None else None,
        total_ms=total_ms if findings.total_ms is None else findings.total_ms,
        status_code=findings.status_code,
        remote_ip=phases.remote_ip,
        body_bytes=phases.received_bytes or None,
        cert_expires_at=ends,
        certificates=chain,
        details=findings.details,
    )


def _rest(phases: Phases, total_ms: float) -> float | None:
    """Return what the talk took beyond its first answer; None where there was none."""
    if phases.first_byte_ms is None:
        return None
    known = sum(getattr(phases, name) or 0.0 for name in KNOWN_PHASES)
    return round(max(0.0, total_ms - known), 2)


@lru_cache(maxsize=1_024)
def chain_end(chain: tuple[bytes, ...]) -> datetime | None:
    """Return when the first certificate of a chain in DER ends, or None where it cannot be read."""
    try:
        return first_end(read_chain(chain))
    except UnreadableCertificate:
        return None
