"""A probe's outcome as Prometheus reads it: what every kind tells, and what a kind brings itself."""

from collections.abc import Iterator

import pytest

from apps.checks import formats
from apps.checks.enums import Verdict
from apps.checks.formats import metrics_of
from apps.checks.types.base import Outcome
from apps.checks.types.figures import Figure
from apps.checks.types.icmp import IcmpCheck
from apps.core.registry import Registry

EVERY = """# HELP probe_success Whether the probe succeeded.
# TYPE probe_success gauge
probe_success 1
# HELP probe_duration_seconds How long the probe took.
# TYPE probe_duration_seconds gauge
probe_duration_seconds 0.0125
# HELP probe_dns_lookup_time_seconds How long the name's lookup took.
# TYPE probe_dns_lookup_time_seconds gauge
probe_dns_lookup_time_seconds 0.002
"""
PHASES = """# HELP probe_icmp_duration_seconds How long each phase took, over all redirects.
# TYPE probe_icmp_duration_seconds gauge
probe_icmp_duration_seconds{phase="resolve"} 0.002
probe_icmp_duration_seconds{phase="setup"} 0
probe_icmp_duration_seconds{phase="rtt"} 0.01
"""
SEEN = Outcome(Verdict.SUCCESS, total_ms=12.5, dns_ms=2, first_byte_ms=10)


def test_kind_that_blackbox_exporter_knows_tells_its_phases() -> None:
    assert metrics_of("icmp", SEEN) == EVERY + PHASES


def test_kind_that_it_does_not_know_tells_what_all_do() -> None:
    assert metrics_of("dns", SEEN) == EVERY


def test_a_kind_brings_its_own_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    class Telepathy(IcmpCheck):
        kind = "telepathy"

        def figures(self, outcome: Outcome) -> Iterator[Figure]:
            yield "probe_thoughts", "How many thoughts were read.", "", 3

    monkeypatch.setattr(formats, "CHECK_TYPES", Registry("check types", (Telepathy(),)))

    told = metrics_of("telepathy", SEEN)

    thoughts = "# HELP probe_thoughts How many thoughts were read.\n# TYPE probe_thoughts gauge\nprobe_thoughts 3\n"
    assert told == EVERY + thoughts
