"""What a tenant uses of what it may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.plans.catalogue import LIMITS, PLANS, UNLIMITED, Entitlements, Limit, Plan
from apps.plans.domain.limits import count_used
from apps.plans.domain.plans import Standing, standing_of

NEARLY_RATIO = 0.8


@dataclass(frozen=True, slots=True)
class Use:
    """One limit: what is allowed (None: any number), and where rows use it up, how many there are."""

    limit: Limit
    allowed: Any
    used: int | None = None

    @property
    def is_over(self) -> bool:
        return self.used is not None and self.allowed is not None and self.used > self.allowed

    @property
    def is_nearly_full(self) -> bool:
        return self.used is not None and self.allowed is not None and self.used >= self.allowed * NEARLY_RATIO

    @property
    def state(self) -> str:
        """Return the state whose colour the bar has."""
        return "down" if self.is_over else "degraded" if self.is_nearly_full else ""


def uses_of(tenant_id: UUID) -> tuple[Standing, list[Use]]:
    """Return the open tenant's plan and each limit with its use."""
    standing = standing_of(tenant_id)
    used = {name: count_used(name) for name, limit in LIMITS.items() if limit.is_counted}
    return standing, _uses(standing.entitlements, used)


def compared() -> list[tuple[Plan, list[Use]]]:
    """Return the plans that people choose among, each with what it allows, in the order of `LIMITS`."""
    return [(plan, _uses(plan.entitlements, {})) for plan in PLANS.values() if plan.code != UNLIMITED]


def _uses(entitlements: Entitlements, used: Mapping[str, int]) -> list[Use]:
    return [Use(limit, getattr(entitlements, name), used.get(name)) for name, limit in LIMITS.items()]
