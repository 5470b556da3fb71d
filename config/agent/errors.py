"""What makes an agent stop, and what makes it go on alone."""

import errno
from enum import IntEnum

# What this machine is short of for now; it says nothing about the disk.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# What may be over by the next start, without anybody changing an option.
PASSING = SHORTAGES | {errno.EIO, errno.ENOSPC, errno.EDQUOT}


class ExitCode(IntEnum):
    """How the process ends. A service manager need not start it again after `USAGE` or `REFUSED`."""

    STOPPED = 0  # by a signal, everything handed over or kept on disk
    FAULT = 1  # of the agent itself, or of its machine for now
    USAGE = 2  # an option, a file or a folder; the text says which
    REFUSED = 3  # the server knows the token not, or not any more


class AgentError(Exception):
    """An option or a file is wrong. The text names it and what mends it."""

    ends_with = ExitCode.USAGE


class PassingFault(AgentError):
    """The machine is short of something, or its disk fails: the same start may succeed another time."""

    ends_with = ExitCode.FAULT


def file_error(text: str, error: OSError) -> AgentError:
    """Return what a file or folder that cannot be used ends the agent with."""
    return PassingFault(text) if error.errno in PASSING else AgentError(text)


class ServerAway(Exception):
    """The server has given no answer that may be acted upon; the text says why. Trying again may help."""

    def __init__(self, reason: str, *, retry_after_seconds: float = 0.0, status: int = 0) -> None:
        """``status`` is the answer's, where there was one."""
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.status = status


class AnswerTooLarge(ServerAway):
    """The answer is larger than we take. Asking for less at a time may help."""


class TokenRefused(Exception):
    """The token is not, or no longer, the key to an agent of this server."""


class RequestRefused(Exception):
    """The server takes this request not as it is; ``errors`` tells the fields."""

    def __init__(self, status: int, errors: dict[str, object]) -> None:
        super().__init__(f"status {status}: {errors}")
        self.status = status
        self.errors = errors
