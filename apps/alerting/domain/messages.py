"""What an alert's message says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.alerting.enums import Notice
from apps.incidents.enums import Severity
from apps.notifications.channels.base import Fact, Message
from apps.notifications.enums import MessageState
from apps.notifications.enums import Severity as Urgency

URGENCIES = {Severity.DOWN: Urgency.CRITICAL, Severity.DEGRADED: Urgency.WARNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a message tells of, apart from the news itself.

    ``ended_at``: when what the rule watches for was over; ``goes_on`` says that the outage, then milder, is not.
    """

    check_name: str
    target: str
    cause: str
    severity: Severity
    started_at: datetime
    ended_at: datetime | None
    goes_on: bool
    is_watched: bool
    rule_name: str
    tenant_name: str
    time_zone: str
    url: str
    thread: str


def build_message(story: Story, notice: Notice, *, now: datetime) -> Message:
    """Return the message in the installation's language, instants in the tenant's time zone."""
    is_over = notice == Notice.RESOLVED
    return Message(
        title=_title(story, notice),
        text="" if is_over else story.cause,
        severity=URGENCIES[story.severity],
        state=MessageState.RESOLVED if is_over else MessageState.FIRING,
        facts=_facts(story, now),
        url=story.url,
        started_at=story.started_at,
        ended_at=story.ended_at,
        footer=_("%(tenant)s · rule “%(rule)s”") % {"tenant": story.tenant_name, "rule": story.rule_name},
        thread=story.thread,
    )


def _title(story: Story, notice: Notice) -> str:
    names = {"check": story.check_name}
    if notice == Notice.RESOLVED:
        return _end(story) % names
    if notice == Notice.FLAPPING:
        return _("%(check)s is flapping: it keeps going down and coming back") % names
    is_down = story.severity == Severity.DOWN
    if notice == Notice.REPEAT:
        return (_("%(check)s is still down") if is_down else _("%(check)s is still degraded")) % names
    if notice == Notice.BETTER:
        return _("%(check)s is degraded, no longer down") % names
    return (_("%(check)s is down") if is_down else _("%(check)s is degraded")) % names


def _end(story: Story) -> str:
    if story.goes_on:
        return _("%(check)s is degraded, no longer down")
    return _("%(check)s recovered") if story.is_watched else _("%(check)s is no longer watched")


def _facts(story: Story, now: datetime) -> tuple[Fact, ...]:
    until = story.ended_at or now
    lines = (
        (_("Target"), story.target),
        (_("Cause"), story.cause),
        (_("Since"), spoken_instant(story.started_at, story.time_zone)),
        (_("Until"), spoken_instant(story.ended_at, story.time_zone) if story.ended_at else ""),
        (_("Lasted") if story.ended_at else _("Lasts"), spoken_duration(until - story.started_at)),
    )
    return tuple(Fact(label, text) for label, text in lines if text)


def spoken_instant(at: datetime, time_zone: str) -> str:
    """Return an instant such as ``2026-11-21 03:04:05 CET``."""
    return at.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M:%S %Z")


def spoken_duration(length: timedelta) -> str:
    """Return a length of time in its two largest units, such as ``2 h 5 min``."""
    seconds = max(int(length.total_seconds()), 0)
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = (
        (days, ngettext("%(count)d day", "%(count)d days", days)),
        (hours, _("%(count)d h")),
        (minutes, _("%(count)d min")),
        (seconds, _("%(count)d s")),
    )
    largest = next((place for place, (count, _template) in enumerate(parts) if count), len(parts) - 1)
    said = [template % {"count": count} for count, template in parts[largest : largest + 2]]
    return said[0] if len(said) == 1 or not parts[largest + 1][0] else " ".join(said)
