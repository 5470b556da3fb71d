"""Which kinds of checks this installation runs: some need what not every machine has."""

from django.conf import settings

from apps.checks.types.base import CheckType
from apps.checks.types.registry import CHECK_TYPES


def switch_of(kind: CheckType) -> str:
    """Return the setting that must be on for the kind to be run, and is not; empty where all is well."""
    switch = getattr(kind, "switch", "")
    return "" if not switch or getattr(settings, switch) else str(switch)


def kinds_switched_off() -> frozenset[str]:
    return frozenset(kind.kind for kind in CHECK_TYPES if switch_of(kind))


def runs_on_agents(kind: CheckType) -> bool:
    """Tell whether agents run the kind: what needs more than a Python of its own, they do not."""
    return not getattr(kind, "switch", "")
