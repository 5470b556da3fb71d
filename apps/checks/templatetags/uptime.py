"""Drawing days. One picture of a few paths instead of ninety elements: a list draws fifty of them."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.checks.domain import day_words
from apps.checks.domain.days import Day, uptime_of

register = template.Library()
LETTERS = {"up": "u", "none": "n", "maintenance": "m", "degraded": "s", "down": "d"}
# A day is one wide, its bar 32 high; the mark under a bad day says without colour what it was.
TALL = 40
BAR = "M{x}.11 0h.78v32h-.78z"
MARKS = {
    "down": "M{x}.22 35h.56v5h-.56z",
    "degraded": "M{x}.5 35l.4 5h-.8z",
    "maintenance": "M{x}.5 34.5l.32 2.75l-.32 2.75l-.32-2.75z",
}


@register.inclusion_tag("components/uptime_bars.html")
def uptime_bars(days: Sequence[Day], last_day: date, name: str, size: str = "") -> dict[str, Any]:
    """Show somebody's days, today last, with the uptime over them; ``size`` "sm" is for rows and has no scale."""
    percentage = day_words.percentage(uptime_of(days))
    given = {"name": name, "count": len(days), "percentage": percentage}
    signs = "".join(LETTERS[day.sign] for day in days)
    return {
        "picture": _picture(signs),
        "signs": signs,
        "last_day": last_day,
        "count": len(days),
        "percentage": percentage,
        "summary": _("Uptime of %(name)s over %(count)s days: %(percentage)s") % given,
        "told": format_html_join("", '<li data-day="{}">{}: {}</li>', _told(days, last_day)),
        "size": size,
    }


def _told(days: Sequence[Day], last_day: date) -> Iterator[tuple[int, str, str]]:
    """Yield place, date and words of each day that was not simply up or unseen, or became known only later."""
    for place, day in enumerate(days):
        if day.late or day.sign not in ("up", "none"):
            at = last_day - timedelta(days=len(days) - 1 - place)
            yield place, date_format(at, "MONTH_DAY_FORMAT"), day_words.day_text(day)


# Most checks have quiet days, and their pictures are alike.
@lru_cache(maxsize=500)
def _picture(signs: str) -> SafeString:
    paths = ((state, _path(state, letter, signs)) for state, letter in LETTERS.items() if letter in signs)
    return format_html(
        '<svg class="uptime__svg" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}</svg>',
        len(signs),
        TALL,
        format_html_join("", '<path class="uptime__days state-{}" d="{}"/>', paths),
    )


def _path(state: str, letter: str, signs: str) -> str:
    shape = BAR + MARKS.get(state, "")
    return "".join(shape.format(x=place) for place, sign in enumerate(signs) if sign == letter)
