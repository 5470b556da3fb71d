"""What is to be done for a configuration document: a step for each check, and for each entry of its other sections."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from apps.checks.domain.configuration import Entry, Standing
from apps.checks.domain.document_steps import Action, Change, SectionStep
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import Config, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What becomes of one check, and why. ``entry`` and ``config`` are missing where it goes, ``standing`` where it comes."""

    action: Action
    key: str
    name: str
    kind: str
    entry: Entry | None = None
    config: Config | None = None
    standing: Standing | None = None
    changes: tuple[Change, ...] = ()

    @property
    def kind_label(self) -> Text:
        return CHECK_TYPES.get(self.kind).label

    @property
    def target(self) -> str:
        """Return what people see of the address, never a secret."""
        config = self.config or (self.standing and self.standing.config)
        return CHECK_TYPES.get(self.kind).target(config) if config else ""

    @property
    def comes_paused(self) -> bool:
        """Tell whether a new check will not be looked after before somebody says so."""
        return self.action is Action.CREATE and self.entry is not None and self.entry.is_paused is True


@dataclass(frozen=True, slots=True)
class Plan:
    """Every step, in the document's order, what goes at the end; those of the other sections by the section's name."""

    checks: tuple[Step, ...]
    others: Mapping[str, list[SectionStep]] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[Step | SectionStep, ...]:
        return (*self.checks, *chain.from_iterable(self.others.values()))

    @property
    def counts(self) -> dict[str, int]:
        """Return how many things each action meets, zeros included."""
        found = Counter(step.action for step in self.steps)
        return {action.value: found[action] for action in Action}
