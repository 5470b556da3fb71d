"""Regular expressions that people write, searched for in what strangers answer: bounded in time and in memory.

They run on the `regex` module with its time limit. A linear-time engine (RE2) was measured against it on an answer of
1 MiB: patterns of a line, such as ``(a?){300}a{300}c``, kept it busy for up to 28 seconds, since linear still means text
times size of the pattern, and it cannot be stopped. The limit here holds for every pattern and every answer. What `regex`
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


class PatternTooSlow(Exception):
    """The search used its time up; it says nothing of whether the text matches."""


def check_pattern(pattern: str) -> None:
    """Raise `ValidationError` where `compile_pattern` would."""
    compile_pattern(pattern)


@lru_cache(maxsize=1_024)
def compile_pattern(pattern: str) -> regex.Pattern[str]:
    """Return the pattern ready for searching, or raise `ValidationError` naming what is wrong and where."""
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
        return regex.compile(pattern, cache_pattern=False)
    except regex.error as error:
        raise ValidationError(
            _("The pattern cannot be read: %(reason)s."), code="malformed", params={"reason": str(error)}
        ) from error
    except (RecursionError, OverflowError, ValueError) as error:
        raise ValidationError(_("The pattern has too many groups inside groups."), code="too_deep") from error


def bounded_search(pattern: str, text: str, *, seconds: float = SEARCH_SECONDS) -> regex.Match[str] | None:
    """Return the first match, or None; raise `PatternTooSlow` once ``seconds`` are used up.

    ``pattern`` has passed `check_pattern`.
    """
    try:
        return compile_pattern(pattern).search(text, timeout=seconds)
    except TimeoutError as error:
        raise PatternTooSlow from error


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
