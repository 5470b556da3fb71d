"""How many sockets one visitor may hold in this process."""

from collections import Counter


class Seats:
    """Counts sockets by holder (a user, or the address of somebody anonymous)."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, holder: str, limit: int) -> bool:
        """Take a seat; False when the holder has all of theirs."""
        if self._taken[holder] >= limit:
            return False
        self._taken[holder] += 1
        return True

    def free(self, holder: str) -> None:
        """Give a seat back."""
        self._taken[holder] -= 1
        if not self._taken[holder]:
            del self._taken[holder]
