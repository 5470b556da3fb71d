"""Regular expressions that people write, searched for in what strangers answer: bounded in time and in memory.

They run on the `regex` module with its time limit. A linear-time engine (RE2) was measured against it on an answer of
1 MiB: patterns of a line, such as ``(a?){300}a{300}c``, kept it busy for up to 28 seconds, since linear still means text
times size of the pattern, and it cannot be stopped. The limit here holds for every pattern and every answer, but for one: while
a literal of many hundred letters is looked for in an answer made to nearly fit it, nothing interrupts (0.7 s for the longest
in 1 MiB). What `regex`
lacks is a bound on what it makes of counted repetitions of groups, so those are bounded before it sees them.
"""

import re
from functools import lru_cache
from math import prod

import regex
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_LENGTH = 1_000
MAX_REPEATS = 1_000
SEARCH_SECONDS = 0.1  # of processor time: a hundred times what a plain pattern takes for 1 MiB
# A count, with what stands before it: after a group, or after another repetition, counts multiply.
COUNT = re.compile(r"([)}+*?]?)\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")
# Comments and free spacing would hide from the rule above what a count belongs to.
FREE_SPACING = re.compile(r"\(\?(?:#|[a-zA-Z0-9]*x)")
GLOB_SIGN = re.compile(r"(\*+)|(\?)|\[(\^?[^\]]+)\]|\\(.)|(.)", re.DOTALL)
GLOB_MEANING = re.compile(r"[*?\[\\]")


class PatternTooSlow(Exception):
    """The search used its time up; it says nothing of whether the text matches."""


def check_pattern(pattern: str) -> None:
    """Raise `ValidationError` where `compile_pattern` would."""
    compile_pattern(pattern)


@lru_cache(maxsize=1_024)
def compile_pattern(pattern: str, *, by_lines: bool = False) -> regex.Pattern[str]:
    """Return the pattern ready for searching, or raise `ValidationError` naming what is wrong and where.

    With ``by_lines``, ``^`` and ``$`` stand for the ends of each line.
    """
    if len(pattern) > MAX_LENGTH:
        raise ValidationError(
            _("The pattern is too long: %(max)s characters are the most."), code="too_long", params={"max": MAX_LENGTH}
        )
    if FREE_SPACING.search(pattern):
        raise ValidationError(_("Write the pattern without comments and without the flag x."), code="free_spacing")
    if _repeats(pattern) > MAX_REPEATS:
        raise ValidationError(
            _(
                "The pattern repeats too often: counts in braces may come to %(max)s together, groups in groups included."
            ),
            code="too_many_repeats",
            params={"max": MAX_REPEATS},
        )
    try:
        return regex.compile(pattern, regex.MULTILINE if by_lines else 0, cache_pattern=False)
    except regex.error as error:
        raise ValidationError(
            _("The pattern cannot be read: %(reason)s."), code="malformed", params={"reason": str(error)}
        ) from error
    except (RecursionError, OverflowError, ValueError) as error:
        raise ValidationError(_("The pattern has too many groups inside groups."), code="too_deep") from error


def bounded_search(
    pattern: str, text: str, *, seconds: float = SEARCH_SECONDS, by_lines: bool = False
) -> regex.Match[str] | None:
    """Return the first match, or None; raise `PatternTooSlow` once ``seconds`` are used up.

    ``pattern`` has passed `check_pattern`.
    """
    try:
        return compile_pattern(pattern, by_lines=by_lines).search(text, timeout=seconds)
    except TimeoutError as error:
        raise PatternTooSlow from error


def matches_glob(glob: str, text: str, *, seconds: float = SEARCH_SECONDS) -> bool:
    """Match a whole text with ``*``, ``?`` and ``[a-z]``; a malformed glob matches nothing.

    Raises `PatternTooSlow`, for a glob with signs other than ``*`` that is too long as well: "matches nothing" would
    fulfil whoever asks for that.
    """
    pieces = _literal_pieces(glob)
    if pieces is not None:
        return _stand_in_order(pieces, text)
    if len(glob) > MAX_LENGTH:  # judged here, so that a refused one is not kept either
        raise PatternTooSlow
    compiled = _compile_glob(glob)
    if compiled is None:
        return False
    head, tail, tail_length = compiled
    end = len(text) - tail_length
    try:
        return (
            end >= 0
            and head.match(text, endpos=end, timeout=seconds) is not None
            and tail.match(text, pos=end, timeout=seconds) is not None
        )
    except TimeoutError as error:
        raise PatternTooSlow from error


def as_glob(text: str) -> str:
    """Return a glob that matches just this text."""
    return GLOB_MEANING.sub(r"\\\g<0>", text)


def _literal_pieces(glob: str) -> list[str] | None:
    """Return what stands between the stars of a glob that has no other sign; None where it has one."""
    pieces = [""]
    for star, any_one, letters, escaped, other in GLOB_SIGN.findall(glob):
        if any_one or letters:
            return None
        if star:
            pieces.append("")
        else:
            pieces[-1] += escaped or other
    return pieces


def _stand_in_order(pieces: list[str], text: str) -> bool:
    """Say whether the pieces make up the text with anything between them: linear in both, whatever their letters."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *inner, last = pieces
    place, end = len(first), len(text) - len(last)
    if place > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in inner:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


@lru_cache(maxsize=512)
def _compile_glob(glob: str) -> tuple[regex.Pattern[str], regex.Pattern[str], int] | None:
    """Return what a text must begin with, what it must end with, and how many letters that end has.

    Between two stars the first place that fits is as good as any other, so nothing need ever be tried again.
    """
    chunks: list[list[str]] = [[]]
    for star, *signs in GLOB_SIGN.findall(glob):
        if star:
            chunks.append([])
        else:
            chunks[-1].append(_glob_sign(*signs))
    first, *inner, last = map("".join, [[""], *chunks] if len(chunks) == 1 else chunks)
    head = rf"(?s)\A{first}" + "".join(f"(?>.*?{chunk})" for chunk in inner) + (r"\z" if len(chunks) == 1 else "")
    try:
        return (
            regex.compile(head, cache_pattern=False),
            regex.compile(rf"(?s){last}\z", cache_pattern=False),
            len(chunks[-1]),
        )
    except regex.error:
        return None


def _glob_sign(any_one: str, letters: str, escaped: str, other: str) -> str:
    if any_one:
        return "."
    if letters:
        signs = letters.removeprefix("^").replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
        return f"[{'^' if letters[0] == '^' else ''}{signs}]"
    return regex.escape(escaped or other)


def _repeats(pattern: str) -> int:
    """Return at most how many copies of one letter the counts ask for, whatever stands inside what."""
    single, groups = 1, [1]
    for before, low, high in COUNT.findall(pattern):
        count = max(int(low[:9] or 0), int(high[:9] or 0), 1)
        if before:
            groups.append(count)
        else:
            single = max(single, count)
    return single * prod(groups)
