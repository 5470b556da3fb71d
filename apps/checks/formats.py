"""A probe's outcome as Prometheus reads it, under the names that blackbox_exporter gave these figures."""

from collections.abc import Iterator

from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.chain_figures import chain_figures
from apps.checks.types.figures import Figure, HasFigures
from apps.checks.types.registry import CHECK_TYPES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_of(kind: str, outcome: Outcome) -> str:
    """Return the outcome in Prometheus' text format; times in seconds."""
    written: list[str] = []
    told: set[str] = set()
    for name, text, labels, value in _figures(kind, outcome):
        if name not in told:
            told.add(name)
            written += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        written.append(f"{name}{labels} {value:.10g}")
    return "\n".join(written) + "\n"


def _figures(kind: str, outcome: Outcome) -> Iterator[Figure]:
    is_good = outcome.verdict in (Verdict.SUCCESS, Verdict.DEGRADED)
    yield "probe_success", "Whether the probe succeeded.", "", float(is_good)
    yield "probe_duration_seconds", "How long the probe took.", "", (outcome.total_ms or 0) / 1_000
    yield "probe_dns_lookup_time_seconds", "How long the name's lookup took.", "", (outcome.dns_ms or 0) / 1_000
    if outcome.remote_ip:
        version = 6 if ":" in outcome.remote_ip else 4
        yield "probe_ip_protocol", "The version of the address that was asked.", "", version
    if outcome.error_code:
        yield "obsera_probe_error", "Why the probe failed.", f'{{code="{outcome.error_code}"}}', 1
    yield from chain_figures(outcome)
    check_type = CHECK_TYPES.get(kind)
    if isinstance(check_type, HasFigures):
        yield from check_type.figures(outcome)
