"""Where a part's lines go: its size-capped file and, with its name in front, the console.

Neither ever stops the product: what a full disk or a lost terminal refuses is dropped.
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

MAX_LOG_BYTES = 5 * 1024 * 1024
NAME_WIDTH = 10
MAX_PARTIAL_LINE = 64 * 1024
REMEMBERED_LINES = 12


class LineLog:
    """Takes raw bytes of one part, passes on whole lines.

    At the size cap the file becomes `<name>.log.1`, so a part keeps at most twice the cap.
    """

    def __init__(self, name: str, folder: Path, *, is_talkative: bool) -> None:
        self.name = name
        self.is_talkative = is_talkative
        self.last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._path = folder / f"{name}.log"
        # Unbuffered: what a full disk refuses must not wait in a buffer and be refused again with each line to come.
        self._file = self._path.open("ab", buffering=0)
        self._partial = b""
        self._lost = 0
        self._is_torn = False

    def feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._partial) > MAX_PARTIAL_LINE:
            self.flush()

    def flush(self) -> None:
        """Pass on an unfinished line: the part ended, or it never breaks its lines."""
        if self._partial:
            self._take(self._partial)
            self._partial = b""

    def close(self) -> None:
        self.flush()
        with suppress(OSError):
            self._file.close()

    def _take(self, line: bytes) -> None:
        self._keep(line)
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.last_lines.append(text)
        if self.is_talkative:
            say(text, name=self.name)

    def _keep(self, line: bytes) -> None:
        """Write the line to the file; where that is refused, the next line that is not tells how many are missing."""
        data = self._about_lost() + line + b"\n"
        written = 0
        with suppress(OSError):
            written = self._file.write(data)
        if written < len(data):
            self._lost += 1
            self._is_torn = self._is_torn or written > 0
            return
        self._lost, self._is_torn = 0, False
        with suppress(OSError):  # it then outgrows its cap until it can be turned over
            if self._file.tell() > MAX_LOG_BYTES:
                self._turn_over()

    def _about_lost(self) -> bytes:
        if not self._lost:
            return b""
        return b"%b(lines lost, since they could not be written: %d)\n" % (b"\n" if self._is_torn else b"", self._lost)

    def _turn_over(self) -> None:
        with suppress(FileNotFoundError):  # moved at a try before this one, which could open no new file
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        full, self._file = self._file, self._path.open("ab", buffering=0)
        full.close()


def say(text: str, *, name: str = "obsera") -> None:
    """One line on the console."""
    show(f"{name:<{NAME_WIDTH}} | {text}")


def show(text: str) -> None:
    """Lines on the console; a closed or full one never stops the product."""
    # OSError: the pipe's reader or the terminal went away, or the disk behind `make run > file` is full.
    # The log files keep everything that matters.
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
