"""Where a part's lines go: its size-capped file and, with its name in front, the console."""

from __future__ import annotations

import sys
from collections import deque
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
        self._file = self._path.open("ab")
        self._partial = b""

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
        self._file.close()

    def _take(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        if self._file.tell() > MAX_LOG_BYTES:
            self._turn_over()
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.last_lines.append(text)
        if self.is_talkative:
            say(text, name=self.name)

    def _turn_over(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("ab")


def say(text: str, *, name: str = "obsera") -> None:
    """One line on the console; a closed console never stops the product."""
    try:
        sys.stdout.write(f"{name:<{NAME_WIDTH}} | {text}\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        # The terminal went away. The log files keep everything that matters.
        return
