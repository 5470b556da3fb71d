"""The product's own figures for Prometheus."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from apps.console.domain.health import Figures, figures

HELP = {
    "checks": "Checks of all tenants.",
    "turns_waiting": "Checks that are due and not claimed by a prober.",
    "turn_oldest_seconds": "How long the oldest waiting check has been due.",
    "turns_leased": "Checks that probers hold now.",
    "events_waiting": "Events on their way to a handler.",
    "events_parked": "Events that failed too often and wait for the operator.",
    "event_oldest_seconds": "Age of the oldest event on its way.",
    "deliveries_waiting": "Notifications on their way.",
    "delivery_oldest_seconds": "Age of the oldest notification on its way.",
    "schedule_late_seconds": "How late the most overdue recurring job is.",
    "outages_open": "Outages that are open now.",
}


class _Collector:
    def __init__(self, found: Figures) -> None:
        self._found = found

    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(f"obsera_{name}", text, getattr(self._found, name)) for name, text in HELP.items()]


def exposition() -> bytes:
    """Return the figures in the text format, version 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Collector(figures()))
    return generate_latest(registry)
