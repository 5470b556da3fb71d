"""What a tenant uses of what it may have."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.plans.catalogue import LIMITS, Limit
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
    def is_full(self) -> bool:
        return self.used is not None and self.allowed is not None and self.used >= self.allowed

    @property
    def is_nearly_full(self) -> bool:
        return self.used is not None and self.allowed is not None and self.used >= self.allowed * NEARLY_RATIO

    @property
    def is_unlimited(self) -> bool:
        return self.allowed is None


def uses_of(tenant_id: UUID) -> tuple[Standing, list[Use]]:
    """Return the open tenant's plan and each limit with its use."""
    standing = standing_of(tenant_id)
    return standing, [
        Use(limit, getattr(standing.entitlements, limit.name), count_used(limit.name) if limit.is_counted else None)
        for limit in LIMITS.values()
    ]
