"""Drawing a page's bars. Written by hand: ninety bars times a hundred components are too many for a template loop."""

from datetime import date, datetime, timedelta
from functools import lru_cache

from django import template
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from apps.statuspages.domain.board import DAYS, Board, ShownComponent, ShownOutage
from apps.statuspages.domain.facts import Moment
from apps.statuspages.domain.statuses import component_status
from apps.statuspages.domain.uptime import Day
from apps.statuspages.enums import ComponentStatus
from apps.statuspages.formats import sentences

register = template.Library()
BAR = '<span class="uptime__bar state-{sign}" data-state="{sign}" data-tip="{label}" data-tip-text="{text}"></span>'


@register.simple_tag
def uptime_bars(board: Board, component: ShownComponent) -> SafeString:
    """Draw a component's days with the classes of components/uptime_bars.html, and say the bad ones in words."""
    labels = _labels(board.last_day, get_language() or "")
    texts: dict[Day, str] = {}
    bars, words = [], []
    for label, day in zip(labels, component.days, strict=True):
        text = texts.get(day) or texts.setdefault(day, escape(sentences.day_text(day)))
        bars.append(BAR.format(sign=day.sign, label=label, text=text))
        if day.down or day.degraded:
            words.append(f"<li>{label}: {text}</li>")
    summary = _("Uptime of %(name)s over 90 days: %(percentage)s") % {
        "name": component.name,
        "percentage": sentences.percentage(component.uptime),
    }
    picture = format_html('<div class="uptime__bars" role="img" aria-label="{}" data-uptime>', summary)
    spoken = f'<ul class="visually-hidden">{"".join(words)}</ul>' if words else ""
    return mark_safe(f"{picture}{''.join(bars)}</div>{spoken}")  # noqa: S308 - every part is escaped above


@lru_cache(maxsize=64)
def _labels(last_day: date, language: str) -> list[str]:
    """Return the days of the bars in words: the same for every component and page."""
    days = (last_day - timedelta(days=back) for back in reversed(range(DAYS)))
    return [escape(date_format(day, "MONTH_DAY_FORMAT")) for day in days]


@register.filter
def percentage(component: ShownComponent) -> str:
    return sentences.percentage(component.uptime)


@register.filter
def spoken_duration(seconds: int) -> str:
    return sentences.duration(seconds)


@register.filter
def moment_status(moment: Moment) -> ComponentStatus:
    return component_status(moment.state)


@register.filter
def moment_text(moment: Moment) -> str:
    return sentences.moment_text(moment.state)


@register.filter
def month_name(month: date) -> str:
    return date_format(month, "YEAR_MONTH_FORMAT")


@register.filter
def day_span(stretch: object) -> str:
    """Return "November 12" or "November 8 – November 12" for a stretch of days."""
    first, last = (date_format(getattr(stretch, end), "MONTH_DAY_FORMAT") for end in ("first", "last"))
    return first if first == last else f"{first} – {last}"


@register.filter
def running_seconds(outage: ShownOutage, now: datetime) -> int:
    """Return how long an outage has lasted up to now."""
    return int(((outage.ended_at or now) - outage.started_at).total_seconds())
