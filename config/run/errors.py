"""What the user sees when something is wrong: one sentence and the command that mends it."""

from __future__ import annotations


class RunError(Exception):
    """A problem the user can mend; shown without a traceback."""

    def __init__(self, problem: str, *, mend: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend

    def __str__(self) -> str:
        if not self.mend:
            return f"Error: {self.problem}"
        steps = "\n".join(f"    {line}" for line in self.mend.splitlines())
        return f"Error: {self.problem}\nTo mend it:\n{steps}"
