"""Names that several want: the first has it as it is, the others get numbers."""

from collections.abc import Container


class Numbering:
    """Remembers the last number of each name, or a thousand who want one would each be numbered from the first again."""

    def __init__(self, separator: str = "-") -> None:
        self._separator = separator
        self._last: dict[str, int] = {}

    def free(self, wanted: str, taken: Container[str]) -> str:
        """Return ``wanted``, with a number behind it where it is ``taken``."""
        name, number = wanted, self._last.get(wanted, 1)
        while name in taken:
            number += 1
            name = f"{wanted}{self._separator}{number}"
        self._last[wanted] = number
        return name
