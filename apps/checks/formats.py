"""A probe's outcome as Prometheus reads it, under the names that blackbox_exporter gave these figures."""

from collections.abc import Callable, Iterator, Mapping

from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Their phase, ours.
HTTP_PHASES = (
    ("resolve", "dns_ms"),
    ("connect", "connect_ms"),
    ("tls", "tls_ms"),
    ("processing", "first_byte_ms"),
    ("transfer", "transfer_ms"),
)
ICMP_PHASES = (("resolve", "dns_ms"), ("setup", "connect_ms"), ("rtt", "first_byte_ms"))
Line = tuple[str, str, str, float]  # name, help, labels, value


def metrics_of(kind: str, outcome: Outcome) -> str:
    """Return the outcome in Prometheus' text format; times in seconds."""
    written: list[str] = []
    told: set[str] = set()
    for name, text, labels, value in _lines(kind, outcome):
        if name not in told:
            told.add(name)
            written += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        written.append(f"{name}{labels} {value:.10g}")
    return "\n".join(written) + "\n"


def _lines(kind: str, outcome: Outcome) -> Iterator[Line]:
    is_good = outcome.verdict in (Verdict.SUCCESS, Verdict.DEGRADED)
    yield "probe_success", "Whether the probe succeeded.", "", float(is_good)
    yield "probe_duration_seconds", "How long the probe took.", "", (outcome.total_ms or 0) / 1_000
    yield "probe_dns_lookup_time_seconds", "How long the name's lookup took.", "", (outcome.dns_ms or 0) / 1_000
    if outcome.remote_ip:
        version = 6 if ":" in outcome.remote_ip else 4
        yield "probe_ip_protocol", "The version of the address that was asked.", "", version
    if outcome.error_code:
        yield "obsera_probe_error", "Why the probe failed.", f'{{code="{outcome.error_code}"}}', 1
    if outcome.cert_expires_at:
        seconds = outcome.cert_expires_at.timestamp()
        yield "probe_ssl_earliest_cert_expiry", "When the certificate ends, in unix time.", "", seconds
    if kind in LINES_OF_KIND:
        yield from LINES_OF_KIND[kind](outcome)


def _http_lines(outcome: Outcome) -> Iterator[Line]:
    yield "probe_http_status_code", "The answer's status.", "", outcome.status_code or 0
    yield "probe_http_redirects", "How many redirects were followed.", "", outcome.redirects
    yield "probe_http_ssl", "Whether the last connection was secured.", "", float(outcome.tls_ms is not None)
    yield "probe_http_uncompressed_body_length", "How many bytes of the body were read.", "", outcome.body_bytes or 0
    if outcome.http_version:
        yield "probe_http_version", "The version of HTTP.", "", float(outcome.http_version)
    yield from _phases("probe_http_duration_seconds", HTTP_PHASES, outcome)


def _icmp_lines(outcome: Outcome) -> Iterator[Line]:
    yield from _phases("probe_icmp_duration_seconds", ICMP_PHASES, outcome)


# What blackbox_exporter tells of some kinds besides; it knows no others.
LINES_OF_KIND: Mapping[str, Callable[[Outcome], Iterator[Line]]] = {"http": _http_lines, "icmp": _icmp_lines}


def _phases(name: str, phases: tuple[tuple[str, str], ...], outcome: Outcome) -> Iterator[Line]:
    for phase, field in phases:
        yield (
            name,
            "How long each phase took, over all redirects.",
            f'{{phase="{phase}"}}',
            (getattr(outcome, field) or 0) / 1_000,
        )
