"""How many results are offered at once: fewer and fewer where the server refuses them, until what it stumbles over is alone."""

from __future__ import annotations

AT_ONCE = 1_000
# A server may stumble for a moment over anything: so often is the same refused before it is looked into.
FEW = 3


class Portion:
    """Of one queue, from whose head everything is offered."""

    def __init__(self) -> None:
        self.count = AT_ONCE
        self._refusals = 0  # of the same results

    def arrived(self) -> None:
        """Offer more again."""
        self.count, self._refusals = min(2 * self.count, AT_ONCE), 0

    def refused(self, count: int) -> bool:
        """Note that so many were refused; return whether it is a single one that was refused often enough to be let go of."""
        self._refusals += 1
        is_searching = self.count < AT_ONCE and count > 1
        if self._refusals < FEW and not is_searching:
            return False
        self._refusals = 0
        if count > 1:
            self.count = count // 2
        return count == 1
