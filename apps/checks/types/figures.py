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


def phases(name: str, measured: Iterable[tuple[str, float | None]]) -> Iterator[Figure]:
    """Yield how long each phase took, from milliseconds; one that was not reached took no time."""
    for phase, ms in measured:
        yield name, "How long each phase took, over all redirects.", f'{{phase="{phase}"}}', (ms or 0) / 1_000
