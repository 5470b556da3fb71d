"""What a check says to its target, as the texts that nobody is shown when the target repeats them."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from apps.checks.types.hiding import OPEN_HEADERS, SHORTEST, Word
from apps.checks.types.texts import printable

# "HTTP/1.1", and the names of headers: they stand in every answer, and hiding them would hide what is wrong.
OPEN = re.compile(r"HTTP/\d(?:\.\d)?|[A-Za-z-]+:")
OPEN_LINES = frozenset(f"{name}:" for name in OPEN_HEADERS | {"connection", "content-length", "upgrade"})
PART = r"[^\s\ufffd\"'`=:;,&?|<>(){}\[\]]+"
PARTS = re.compile(PART)
VALUES = re.compile(rf"[=:][\"'`]?({PART})")  # what is given for a name may be a secret however plain it looks
RANDOM_LENGTH = 12
MOST_PARTS = 200  # the messages are hidden as wholes anyway, and every part is looked for in every text that is shown


def secrets_said(messages: Iterable[str | bytes], *, host: str) -> Iterator[str]:
    """Yield each message as it would be shown, and what in it may be a secret: its words, or the texts of its JSON.

    A message of one word in capitals, such as "QUIT", is a command, and the ``host`` is no secret, though many a greeting
    names it. Of very many parts, those that look least like words are taken.
    """
    parts: dict[str, None] = {}
    for message in messages:
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
        if _is_command(text.strip()):
            continue
        yield from dict.fromkeys((printable(text, len(text) + 1), text))
        parts.update(dict.fromkeys(_parts(text, host)))
    likely = sorted((part for part in parts if len(part) >= SHORTEST), key=_looks_random, reverse=True)
    yield from (Word(part) if _is_plain(part) else part for part in likely[:MOST_PARTS])


def _looks_random(part: str) -> bool:
    return len(part) >= RANDOM_LENGTH or any(map(str.isdigit, part))


def _is_plain(part: str) -> bool:
    """Tell whether this may be an ordinary word."""
    return part.isascii() and part.isalpha() and not _looks_random(part)


def _is_command(part: str) -> bool:
    return _is_plain(part) and part.isupper()


def _parts(text: str, host: str) -> Iterator[str]:
    for leaf in _leaves(_document(text)):
        if leaf is not text:
            yield leaf
        yield from (word for line in leaf.splitlines() for word in _words(line) if word not in host)


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
    """Yield the words of a line and what in them may be a secret; a word that it begins with is a command, and one in
    capitals alone."""
    words = printable(line, len(line) + 1).split()
    if words and (_is_command(words[0]) or (len(words) > 1 and words[0].isalpha())):
        del words[0]
    elif words and words[0].lower() in OPEN_LINES:
        return
    for word in words:
        if not OPEN.fullmatch(word):
            yield word
            yield from VALUES.findall(word)
            yield from filter(_looks_random, PARTS.findall(word))
