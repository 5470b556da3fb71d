"""What the bodies of answers under way may take together: each has its own limit, and thousands are under way at once."""

import math

from apps.core.http.failures import Failure

NO_ROOM = Failure("own_fault", {"detail": "too many large answers at once"}, is_ours=True)


class BodyRoom:
    """Bytes held, out of ``limit``. Whoever takes gives back as many; use from one thread."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> bool:
        """Count ``size`` bytes as held; False where that is more than there is room for."""
        self.held += size
        return self.held <= self.limit

    def give(self, size: int) -> None:
        """Count ``size`` bytes as held no more."""
        self.held -= size
