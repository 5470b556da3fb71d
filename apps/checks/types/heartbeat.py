"""The heartbeat: nothing is sent out, a job reports by itself, and its silence is the failure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.base import Fact, Group, Outcome, ProbeContext
from apps.checks.types.messages import Message
from apps.checks.types.schedules import (
    UNSEEN,
    BadSchedule,
    Calendar,
    Cron,
    Every,
    Schedule,
    calendar_lines,
    check_calendar,
    check_comes_true,
    check_cron,
    check_zone,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

YEAR_SECONDS = 31_536_000
ADDRESS = re.compile(r"[A-Za-z0-9_-]{10,64}")
SLUG = re.compile(r"[a-z0-9_-]{1,100}")
# As long as Healthchecks' own, neither more nor less: by its length a key is told from a token.
PING_KEY = re.compile(r"[A-Za-z0-9_-]{22}")
FEWEST_SIGNS = 8  # of 22 at random hardly ever fewer are different


class Signal(TextChoices):
    """What a ping says."""

    SUCCESS = "success", _("Success")
    START = "start", _("Start")
    FAIL = "fail", _("Failure")
    LOG = "log", _("Log")
    IGNORED = "ign", _("Ignored")


class Judged(TextChoices):
    """Whose texts the keywords are looked for in."""

    ALL = "all", _("Requests and e-mails")
    REQUESTS = "requests", _("Requests alone")
    MAILS = "mails", _("E-mails alone")


class Rhythm(TextChoices):
    """How a heartbeat's schedule is written."""

    SIMPLE = "simple", _("Every so often")
    CRON = "cron", _("Cron expression")
    ON_CALENDAR = "oncalendar", _("systemd OnCalendar")


NO_CRON = _("This is no cron expression of five fields that ever comes true.")
NO_CALENDAR = _("One of these is no OnCalendar expression that ever comes true.")
HOLDS_UNSEEN = _(
    "There is a character that cannot be seen, such as a tab. Write plain spaces, and one expression a line."
)


def _refusing(check: Callable[[str], None], message: Any, **others: Any) -> Callable[[str], None]:
    """Return a validator for a text that may be empty; ``others`` are its messages for some reasons."""

    def validate(text: str) -> None:
        try:
            if text:
                check(text)
        except BadSchedule as error:
            raise ValidationError(others.get(str(error), message), code="schedule") from error

    return validate


def _check_address(address: str) -> None:
    """Refuse what nobody could ping, or what anybody could guess."""
    if address and not ADDRESS.fullmatch(address):
        raise ValidationError(
            _("Give the last part of the URL: 10 to 64 letters, digits, hyphens or underscores."), code="address"
        )


def _check_slug(slug: str) -> None:
    """Refuse what no job could ask for."""
    if slug and not SLUG.fullmatch(slug):
        raise ValidationError(_("Give small letters a to z, digits, hyphens or underscores."), code="slug")


def check_ping_key(key: str) -> None:
    """Refuse a ping key that no door would take for one, or that anybody could guess."""
    if not PING_KEY.fullmatch(key):
        raise ValidationError(_("Give exactly 22 letters, digits, hyphens or underscores."), code="ping_key")
    if len(set(key)) < FEWEST_SIGNS:
        raise ValidationError(_("This could be guessed: it repeats too few different characters."), code="ping_key")


# The setting that holds the schedule, and what is said of one that nobody can keep.
BY_CLOCK: Mapping[str, tuple[str, Any]] = {
    Rhythm.CRON: ("cron", NO_CRON),
    Rhythm.ON_CALENDAR: ("on_calendar", NO_CALENDAR),
}
SCHEDULE, REPORTS = _("When reports are expected"), _("How reports are read")


def _keywords(label: Text) -> Any:
    help_text = _("Words separated by commas; upper and lower case matter.")
    return setting("", section=REPORTS, label=label, help=help_text, max_length=200)


@dataclass(frozen=True, kw_only=True)
class HeartbeatConfig(BaseConfig):
    """When a job is expected to report, and how its reports are read."""

    schedule: str = setting(Rhythm.SIMPLE.value, section=SCHEDULE, label=_("Schedule"), choices=tuple(Rhythm.choices))
    period_seconds: int = setting(
        86_400,
        section=SCHEDULE,
        shown_when="schedule=simple",
        label=_("Expected every"),
        help=_("Seconds between two reports, at most; from a minute up to a year."),
        low=60,
        high=YEAR_SECONDS,
    )
    cron: str = setting(
        "",
        section=SCHEDULE,
        shown_when="schedule=cron",
        label=_("Cron expression"),
        help=_("Five fields, as in a crontab: 0 3 * * *."),
        placeholder="0 3 * * *",
        max_length=200,
        check=_refusing(check_cron, NO_CRON),
    )
    on_calendar: str = setting(
        "",
        section=SCHEDULE,
        shown_when="schedule=oncalendar",
        label=_("OnCalendar expressions"),
        help=_("As in a systemd timer, one a line: Mon..Fri 03:00."),
        widget=Widget.AREA,
        placeholder="Mon..Fri 03:00",
        max_length=1_000,
        check=_refusing(check_calendar, NO_CALENDAR, **{UNSEEN: HOLDS_UNSEEN}),
    )
    time_zone: str = setting(
        "UTC",
        section=SCHEDULE,
        shown_when="schedule=cron oncalendar",
        label=_("Time zone"),
        help=_("The clock that the schedule goes by, such as Europe/Berlin."),
        max_length=60,
        check=_refusing(check_zone, _("There is no such time zone.")),
    )
    grace_seconds: int = setting(
        3_600,
        section=SCHEDULE,
        label=_("Grace"),
        help=_("Seconds a report may be late, and a started job may take, before it counts as down."),
        low=60,
        high=YEAR_SECONDS,
    )
    filters_body: bool = setting(
        False,
        section=REPORTS,
        label=_("Judge reports by their text"),
        help=_("Look for the keywords below in what is sent; a text with none of them is kept and changes nothing."),
    )
    judged_texts: str = setting(
        Judged.ALL.value, section=REPORTS, label=_("Whose text is judged"), choices=tuple(Judged.choices)
    )
    filters_subject: bool = setting(
        False,
        section=REPORTS,
        label=_("Judge e-mails by their subject"),
        help=_("Look for the keywords below in a mail's subject; otherwise any mail is a success."),
    )
    failure_keywords: str = _keywords(_("Failure keywords"))
    success_keywords: str = _keywords(_("Success keywords"))
    start_keywords: str = _keywords(_("Start keywords"))
    unmatched_fails: bool = setting(
        False,
        section=REPORTS,
        label=_("A judged report with none of these is a failure"),
        help=_("Otherwise it is kept and changes nothing."),
    )
    manual_resume: bool = setting(
        False,
        section=REPORTS,
        label=_("Stay paused until resumed by hand"),
        help=_("Otherwise a report ends the pause."),
    )
    only_post: bool = setting(
        False,
        section=REPORTS,
        label=_("Only POST reports"),
        help=_(
            "Whatever comes by another method, starts and failures included, is kept and changes nothing, so that a link"
            " preview says nothing of the job. E-mails count."
        ),
    )

    slug: str = setting(
        "",
        section=REPORTS,
        label=_("Name in its address"),
        help=_("What stands behind the ping key; left empty it is the check's key, or made from its name."),
        max_length=100,
        check=_check_slug,
    )
    address: str = setting(
        "",
        section=REPORTS,
        label=_("Address it had elsewhere"),
        help=_(
            "For a job that moved in: the end of its ping or push URL. It then reports here by a new host name alone."
        ),
        is_secret=True,
        max_length=64,
        check=_check_address,
    )

    def clean(self) -> None:
        errors: dict[str, Any] = {
            name: _("This cannot be empty.") for name in ("schedule", "time_zone") if not getattr(self, name)
        }
        if self.schedule == Rhythm.CRON and not self.cron:
            errors["cron"] = _("Say when the job runs.")
        if self.schedule == Rhythm.ON_CALENDAR and not self.on_calendar:
            errors["on_calendar"] = _("Say when the job runs.")
        is_judging = self.filters_body or self.filters_subject
        if is_judging and not (self.failure_keywords or self.success_keywords or self.start_keywords):
            errors["success_keywords"] = _("Name at least one keyword.")
        if not errors and self.schedule in BY_CLOCK:
            errors = self._unkept()
        if errors:
            raise ValidationError(errors)

    def _unkept(self) -> dict[str, Any]:
        """Return what is wrong with a schedule in its own time zone, which may skip all that it asks for."""
        name, message = BY_CLOCK[self.schedule]
        try:
            check_comes_true(RHYTHMS[self.schedule](self))
        except BadSchedule:
            return {name: message}
        return {}

    # Prepared once per configuration: a busy installation hears thousands of pings a second.

    @cached_property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)

    @cached_property
    def rhythm(self) -> Schedule:
        return RHYTHMS[self.schedule](self)

    @cached_property
    def token(self) -> str:
        """Return the address as doors spell it: ids in lower case with hyphens."""
        try:
            return str(UUID(self.address))
        except ValueError:
            return self.address

    def judges_text(self, *, is_mail: bool) -> bool:
        """Tell whether the text of a mail, or of anything else, is judged."""
        return self.filters_body and self.judged_texts in (Judged.ALL, Judged.MAILS if is_mail else Judged.REQUESTS)

    @cached_property
    def keywords(self) -> tuple[tuple[Signal, tuple[str, ...]], ...]:
        """Return the signals and their words; a failure is looked for first, so that no other word hides it."""
        given = (
            (Signal.FAIL, self.failure_keywords),
            (Signal.SUCCESS, self.success_keywords),
            (Signal.START, self.start_keywords),
        )
        return tuple((signal, tuple(filter(None, map(str.strip, words.split(","))))) for signal, words in given)


UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def period_words(seconds: int) -> str:
    """Return a period by the signs of its units, which need no language since it is stored: "1 h 30 min"."""
    parts: list[str] = []
    for size, unit in UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts)


RHYTHMS: Mapping[str, Callable[[HeartbeatConfig], Schedule]] = {
    Rhythm.SIMPLE: lambda config: Every(timedelta(seconds=config.period_seconds)),
    Rhythm.CRON: lambda config: Cron(config.cron, config.time_zone),
    Rhythm.ON_CALENDAR: lambda config: Calendar(config.on_calendar, config.time_zone),
}
TARGETS: Mapping[str, Callable[[HeartbeatConfig], str]] = {
    Rhythm.SIMPLE: lambda config: period_words(config.period_seconds),
    Rhythm.CRON: lambda config: f"{config.cron} {config.time_zone}",
    Rhythm.ON_CALENDAR: lambda config: f"{'; '.join(calendar_lines(config.on_calendar))} {config.time_zone}",
}


class HeartbeatCheck:
    """Waits for a job's reports."""

    kind: ClassVar[str] = "heartbeat"
    label: ClassVar[Text] = _("Heartbeat")
    help: ClassVar[Text] = _("Waits for a job to report, and says when it does not: cron jobs, backups, queues.")
    icon: ClassVar[str] = "heartbeat"
    group: ClassVar[Group] = Group.JOB
    is_probed: ClassVar[bool] = False
    Config: ClassVar[type[BaseConfig]] = HeartbeatConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "heartbeat_missed": (
            _("The job did not report in time."),
            _("See whether it ran, and whether its report could reach this address."),
        ),
        "heartbeat_overrun": (
            _("The job began and did not end within its grace."),
            _("See whether it hangs, or allow it more grace."),
        ),
        "heartbeat_failed": (_("The job reported a failure."), _("Read its log; the report's text may tell more.")),
        "heartbeat_exit_status": (
            _("The job ended with exit status %(status)s."),
            _("Read its log; the report's text may tell more."),
        ),
        "heartbeat_unheard": (
            _("No report came while this installation itself could not be reached."),
            _("Nothing has to be done: the next report, or its absence, tells."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {}

    def sample(self) -> HeartbeatConfig:
        return HeartbeatConfig(schedule="cron", cron="0 3 * * *", time_zone="Europe/Berlin", grace_seconds=1_800)

    def target(self, config: BaseConfig) -> str:
        wanted = cast("HeartbeatConfig", config)
        return TARGETS[wanted.schedule](wanted)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        """A job reports by itself: asked all the same, nothing is known."""
        return Outcome(verdict=Verdict.UNKNOWN)
