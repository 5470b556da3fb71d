"""What a check type tells a Prometheus besides what every probe does: blackbox_exporter's figures of its kind."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from apps.checks.types.base import Outcome

Figure = tuple[str, str, str, float]  # name, help, labels, value


@runtime_checkable
class HasFigures(Protocol):
    """A check type that blackbox_exporter knows, too."""

    def figures(self, outcome: Outcome) -> Iterator[Figure]:
        """Yield a probe's figures; times in seconds."""
        ...


def failed_by_pattern(outcome: Outcome, codes: frozenset[str]) -> Figure:
    """Return whether a pattern was why the probe failed; ``codes`` are those of the kind's errors that say so."""
    text = "Whether the probe failed since a pattern fitted, or did not."
    return "probe_failed_due_to_regex", text, "", float(outcome.error_code in codes)


def phases(name: str, measured: Iterable[tuple[str, float | None]]) -> Iterator[Figure]:
    """Yield how long each phase took, from milliseconds; one that was not reached took no time."""
    for phase, ms in measured:
        yield name, "How long each phase took, over all redirects.", f'{{phase="{phase}"}}', (ms or 0) / 1_000
