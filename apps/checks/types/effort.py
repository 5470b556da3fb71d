"""How much processor time it may take to judge one answer: rules come from users and answers from strangers, and while
one is judged every other probe of the loop waits."""

from contextvars import ContextVar, Token
from math import inf
from time import thread_time
from types import TracebackType

JUDGING_SECONDS = 0.5  # a hundred times what a dozen rules take on a usual answer

_ends_at: ContextVar[float] = ContextVar("ends_at", default=inf)


class TooMuchWork(Exception):
    """The time is used up; it says nothing of the answer."""


class Effort:
    """Processor time (not the clock's, which a busy machine would eat) to be used in one go or several, one in another."""

    def __init__(self, seconds: float = JUDGING_SECONDS) -> None:
        self._left = seconds
        self._began = 0.0
        self._token: Token[float] | None = None

    def __enter__(self) -> None:
        self._began = thread_time()
        self._token = _ends_at.set(min(_ends_at.get(), self._began + self._left))

    def __exit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._left -= thread_time() - self._began
        if self._token is not None:
            _ends_at.reset(self._token)


def go_on() -> None:
    """Raise `TooMuchWork` where the time of the `Effort` around this is used up."""
    if thread_time() > _ends_at.get():
        raise TooMuchWork
