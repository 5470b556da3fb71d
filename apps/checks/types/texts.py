"""A stranger's words, made fit for keeping: JSON and PostgreSQL take neither lone surrogates nor null characters."""

import re

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def printable(words: object, limit: int) -> str:
    """Return text or bytes as one line of at most ``limit`` characters; empty for anything else."""
    if isinstance(words, bytes):
        words = words[: limit * 4].decode("utf-8", "replace")
    if not isinstance(words, str):
        return ""
    line = UNPRINTABLE.sub(" ", words[: limit * 2]).strip()
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
