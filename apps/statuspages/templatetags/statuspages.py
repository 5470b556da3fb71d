"""Words of public pages for templates."""

from datetime import date, datetime

from django import template
from django.utils.formats import date_format

from apps.checks.domain.day_words import duration
from apps.statuspages.domain.facts import Moment
from apps.statuspages.domain.outages import ShownOutage
from apps.statuspages.domain.statuses import component_status
from apps.statuspages.enums import ComponentStatus
from apps.statuspages.formats import sentences

register = template.Library()


@register.filter
def spoken_duration(seconds: int) -> str:
    return duration(seconds)


@register.filter
def moment_status(moment: Moment) -> ComponentStatus:
    return component_status(moment.state)


@register.filter
def moment_text(moment: Moment, outage: ShownOutage) -> str:
    return sentences.moment_text(outage, moment)


@register.simple_tag
def found_later_text() -> str:
    return sentences.found_later_text()


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
