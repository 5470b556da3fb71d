"""What a check says to its target, as the texts that nobody is shown when the target repeats them."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from apps.checks.types.texts import printable

# "HTTP/1.1", and the names of headers: they stand in every answer, and hiding them would hide what is wrong.
OPEN = re.compile(r"HTTP/\d(?:\.\d)?|[A-Za-z-]+:")
PART = re.compile(r"[^\s\ufffd\"'`=:;,&?|<>(){}\[\]]+")


def secrets_said(messages: Iterable[str | bytes], *, host: str) -> Iterator[str]:
    """Yield each message as it would be shown, and what in it may be a secret: its words, or the texts of its JSON.

    The ``host`` is none, though many a greeting names it.
    """
    for message in messages:
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
        yield printable(text, len(text) + 1)
        for leaf in _leaves(_document(text)):
            yield from (leaf, *(word for line in leaf.splitlines() for word in _words(line) if word not in host))


def _document(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)


def _words(line: str) -> Iterator[str]:
    """Yield the words of a line and their parts; what a line of several words begins with is a command."""
    words = printable(line, len(line) + 1).split()
    if len(words) > 1 and words[0].isalpha():
        del words[0]
    for word in words:
        if not OPEN.fullmatch(word):
            yield word
            yield from PART.findall(word)
