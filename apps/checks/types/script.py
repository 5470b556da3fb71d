"""What to say to a server and what to hear, one step a line::

    expect "220 "
    send "EHLO probe\\r\\n"
    expect /250[ -]STARTTLS/
    starttls

Text in quotes is taken literally, with the escapes ``\\r \\n \\t \\0 \\\\ \\" \\xHH``; text between slashes is a regular
expression, whose ``^`` and ``$`` are the ends of a line. Empty lines and lines that begin with ``#`` are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.patterns import check_pattern

MAX_STEPS = 50
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)")
SIGNS = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Send:
    """Say ``data``."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait until ``shown`` comes: the bytes ``text``, or what matches ``pattern``."""

    shown: str
    text: bytes = b""
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Secure the connection."""


Step = Send | Expect | StartTls


def parse_script(script: str) -> tuple[Step, ...]:
    """Return the steps of a script; raises ValidationError naming the line that cannot be read."""
    steps = tuple(islice(_steps(script), MAX_STEPS + 1))  # each pattern is compiled, of a hundred thousand for seconds
    if len(steps) > MAX_STEPS:
        raise ValidationError(_("At most %(count)s steps fit."), code="too_long", params={"count": MAX_STEPS})
    return steps


def check_script(script: str) -> None:
    """Refuse a script that cannot be read."""
    parse_script(script)


def unescaped(text: str) -> bytes:
    """Return the bytes that ``text`` stands for; raises ValueError for an unknown escape."""
    made, at = bytearray(), 0
    for match in ESCAPE.finditer(text):
        made += text[at : match.start()].encode()
        sign = match[1]
        if len(sign) == 3:
            made.append(int(sign[1:], 16))
        elif sign in SIGNS:
            made += SIGNS[sign].encode()
        else:
            raise ValueError(sign)
        at = match.end()
    rest = text[at:]
    if rest.endswith("\\"):
        raise ValueError(rest)
    return bytes(made + rest.encode())


def check_escapes(text: str) -> None:
    """Refuse text with an escape that means nothing."""
    try:
        unescaped(text)
    except ValueError as error:
        raise ValidationError(
            _('Only these escapes are known: \\r \\n \\t \\0 \\\\ \\" \\xHH.'), code="escape"
        ) from error


def _steps(script: str) -> Iterator[Step]:
    for number, line in enumerate(script.splitlines(), 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        step = _step(written)
        if step is None:
            raise ValidationError(
                _('Line %(number)s cannot be read. Write send "…", expect "…", expect /…/ or starttls.'),
                code="line",
                params={"number": number},
            )
        yield step


def _step(line: str) -> Step | None:
    word, _space, rest = line.partition(" ")
    rest = rest.strip()
    if word == "starttls" and not rest:
        return StartTls()
    if word == "expect" and len(rest) > 2 and rest[0] == rest[-1] == "/":
        return _pattern(rest)
    quoted = QUOTED.fullmatch(rest)
    if quoted is None or word not in {"send", "expect"}:
        return None
    try:
        data = unescaped(quoted[1])
    except ValueError:
        return None
    if word == "send":
        return Send(data)
    return Expect(rest, text=data) if data else None


def _pattern(rest: str) -> Expect:
    check_pattern(rest[1:-1])
    return Expect(rest, pattern=rest[1:-1])
