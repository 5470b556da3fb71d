"""What the user sees when something is wrong: one sentence and the command that mends it."""

from __future__ import annotations

import errno
import os
import shlex


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


def explain_os_error(error: OSError) -> RunError:
    """What the machine refused, with the usual cure."""
    place = shlex.quote(str(error.filename)) if error.filename else ""
    problem = f"{error.strerror or error}{f': {place}' if place else ''}."
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return RunError(problem, mend="df -h .   # then free some space, and run the same command again")
    if isinstance(error, PermissionError) and place:
        return RunError(problem, mend=f"sudo chown -R {os.geteuid()}:{os.getegid()} {place}")
    return RunError(problem, mend="to see where it happened, run the same command with OBSERA_DEBUG=1")
