"""Days and uptimes in words, the same wherever bars of days are drawn."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from apps.checks.domain.days import Day, Uptime


def duration(seconds: int) -> str:
    """Return a length of time in its two largest units: "1 h 5 min"."""
    units = ((86_400, _("%(number)d d")), (3_600, _("%(number)d h")), (60, _("%(number)d min")), (1, _("%(number)d s")))
    parts = []
    for size, words in units:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(words % {"number": number})
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or _("%(number)d s") % {"number": 0}


def percentage(uptime: Uptime) -> str:
    """Return "99.982 %", rounded down, or words where nothing was watched."""
    if uptime.thousandths is None:
        return _("No data")
    whole, rest = divmod(uptime.thousandths, 1_000)
    return _("%(number)s %%") % {"number": number_format(f"{whole}.{rest:03d}")}


def day_text(day: Day) -> str:
    """Say what a day was like, and how much of it nobody knew of at the time."""
    parts = []
    if day.down:
        parts.append(_("%(duration)s of outage") % {"duration": duration(day.down)})
    if day.degraded:
        parts.append(_("%(duration)s degraded") % {"duration": duration(day.degraded)})
    if day.maintenance:
        parts.append(_("%(duration)s of maintenance") % {"duration": duration(day.maintenance)})
    if not parts:
        parts.append(_("No outage") if day.watched else _("No data"))
    if day.late:
        parts.append(_("%(duration)s reported late") % {"duration": duration(day.late)})
    return " · ".join(parts)
