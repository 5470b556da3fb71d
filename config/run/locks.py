"""One process at a time: locks that the kernel drops when their holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.run.errors import RunError


@contextmanager
def hold(file: Path, note: str, *, refuse: Callable[[str], RunError]) -> Iterator[None]:
    """Hold the file's lock and leave a note in it; else raise what `refuse` makes of the holder's note."""
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise refuse(lock.read().strip()) from error
        lock.truncate(0)
        lock.write(note)
        lock.flush()
        yield


def is_held(file: Path) -> bool:
    """True while another process holds the file's lock."""
    if not file.exists():
        return False
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
