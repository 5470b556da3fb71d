"""Planning maintenance: making, changing, ending and deleting windows."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import User
from apps.checks.models import Check
from apps.checks.types.schedules import BadSchedule, check_cron, check_zone
from apps.core import clock
from apps.core.refusals import Refusal
from apps.incidents.domain.coverage import AT_WORK, COVERS, TO_COME, grouped
from apps.incidents.domain.maintenance_edges import apply_edges_now
from apps.incidents.domain.plans import PLANNED, WindowSettings, plan_of, take_up
from apps.incidents.domain.windows import Occurrence, upcoming
from apps.incidents.enums import Repeat
from apps.incidents.models import MAX_DURATION, MIN_DURATION, MaintenanceWindow, WindowCheck

QUICK_DURATION = timedelta(hours=1)
MOST_AT_ONCE = 100
LOOKED_AT = 3_000  # begins to come: two days of every minute


class BadWindow(Refusal):
    """What was asked for is no window; the text says why. ``field`` names the setting at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotRunning(Refusal):
    """Only what runs can be ended."""

    message = gettext_lazy("This maintenance does not run now.")


PLAIN = (*PLANNED, "name", "description", "covers_all", "is_public")


def validate_window(given: WindowSettings) -> None:
    """Raise `BadWindow` for what nobody could keep."""
    _validate_zone(given.time_zone)
    if not MIN_DURATION <= given.duration <= MAX_DURATION:
        raise BadWindow("duration", _("Maintenance lasts from one minute to seven days."))
    for name in ("starts_at", "repeats_until_at"):
        if (at := getattr(given, name)) and at.year not in clock.YEARS:
            raise BadWindow(name, _("Choose a time between the years 1970 and 2200."))
    if given.repeat == Repeat.ONCE and given.starts_at is None:
        raise BadWindow("starts_at", _("Say when it begins."))
    if given.repeat == Repeat.WEEKLY and (not given.weekdays or not set(given.weekdays) <= set(range(7))):
        raise BadWindow("weekdays", _("Choose at least one day."))
    if given.repeat == Repeat.WEEKLY and given.time_of_day is None:
        raise BadWindow("time_of_day", _("Say at what time it begins."))
    if given.repeat == Repeat.CRON:
        _validate_cron(given.cron)
    if not (given.covers_all or given.tags or given.checks):
        raise BadWindow("checks", _("Choose checks or tags, or every check."))
    _validate_overlap(given)


def _validate_overlap(given: WindowSettings) -> None:
    """Refuse what begins again and again before it ends: one window would keep the job busy for everybody.

    What comes next may be the last of a dense day, so more is looked at; a cron expression begins once a minute at most.
    """
    if given.repeat != Repeat.CRON or given.duration <= MOST_AT_ONCE * MIN_DURATION:
        return
    found = upcoming(plan_of(given), since=clock.now(), count=LOOKED_AT)
    for first, last in zip(found, found[MOST_AT_ONCE:], strict=False):
        if last.starts_at < first.starts_at + given.duration:
            raise BadWindow(
                "duration", _("It begins again more than 100 times before it ends. Choose a shorter duration.")
            )


def _validate_zone(zone: str) -> None:
    try:
        check_zone(zone)
    except BadSchedule as error:
        raise BadWindow("time_zone", _("This is no time zone, such as Europe/Berlin.")) from error


def _validate_cron(expression: str) -> None:
    try:
        check_cron(expression)
    except BadSchedule as error:
        raise BadWindow("cron", _("This is no cron expression, such as “0 3 * * 6”.")) from error


def preview(given: WindowSettings, *, count: int = 5) -> list[tuple[datetime, datetime]]:
    """Return the next begins and ends of what is being planned, what runs already included; raise `BadWindow`."""
    validate_window(given)
    return [(one.starts_at, one.ends_at) for one in upcoming(plan_of(given), since=clock.now(), count=count)]


@transaction.atomic
def keep_window(existing: MaintenanceWindow | None, given: WindowSettings, *, actor: User | None) -> MaintenanceWindow:
    """Make a window, or give one other settings; raise `BadWindow`. What begins now begins with this."""
    validate_window(given)
    window = _held(existing) if existing else MaintenanceWindow(created_by=actor)
    before = plan_of(window) if existing else None
    for name in PLAIN:
        setattr(window, name, getattr(given, name))
    window.weekdays, window.tags = sorted(set(given.weekdays)), list(given.tags)
    window.updated_at = clock.now()
    if plan_of(window) != before:  # what was ended by hand stays so until somebody says when else it takes place
        window.cut_off_at = None
    take_up(window)
    window.save()
    WindowCheck.objects.filter(window=window).exclude(watched__in=given.checks).delete()
    rows = [WindowCheck(window=window, watched=check) for check in given.checks]
    WindowCheck.objects.bulk_create(rows, ignore_conflicts=True)
    apply_edges_now()
    return window


def _held(window: MaintenanceWindow) -> MaintenanceWindow:
    """Lock a window and read it anew. Rivals: the job, and colleagues who end or delete it; saving would bring it back."""
    held: MaintenanceWindow | None = MaintenanceWindow.objects.select_for_update().filter(id=window.id).first()
    if held is None:
        raise BadWindow("name", _("This maintenance was deleted meanwhile. Plan it anew."))
    return held


def start_now(check: Check, *, actor: User | None, time_zone: str) -> MaintenanceWindow:
    """Put one check under maintenance for an hour, from this moment on; customers are told."""
    given = WindowSettings(
        name=_("Maintenance of %(check)s") % {"check": check.name[:100]},
        repeat=Repeat.ONCE,
        time_zone=time_zone,
        duration=QUICK_DURATION,
        starts_at=clock.now(),
        checks=[check],
    )
    return keep_window(None, given, actor=actor)


@transaction.atomic
def end_now(*, window_id: object) -> None:
    """End what runs of a window; later occurrences take place. Raise `NotRunning`."""
    window = MaintenanceWindow.objects.select_for_update().filter(id=window_id).first()
    if window is None or not window.is_running:  # rival: a colleague, or its own end
        raise NotRunning
    # It ends at this instant, which is no longer a part of it.
    window.cut_off_at = window.running_until_at = clock.now()
    take_up(window)
    window.save()
    apply_edges_now()


@transaction.atomic
def delete_window(window: MaintenanceWindow) -> None:
    """Forget a window; what it covers is judged again at once."""
    window.delete()
    apply_edges_now()


def next_of(window: MaintenanceWindow, *, count: int = 1) -> list[Occurrence]:
    """Return a window's next occurrences, one that runs now included."""
    return upcoming(plan_of(window), since=clock.now(), count=count)


def find_windows() -> QuerySet[MaintenanceWindow]:
    """Return the tenant's windows with the checks they name: what runs first, then what comes first, then what is over."""
    named = Prefetch("checks", queryset=Check.objects.order_by("name"))
    found: QuerySet[MaintenanceWindow] = MaintenanceWindow.objects.prefetch_related(named)
    return found.order_by("running_until_at", "next_edge_at", "-created_at", "id")


PUBLIC = f"""
SELECT plan.id, array_agg(watched.id)
FROM incidents_maintenancewindow AS plan JOIN checks_check AS watched ON {COVERS}
WHERE watched.id = ANY(%(check_ids)s) AND {TO_COME}
GROUP BY plan.id
"""  # noqa: S608 - constants alone


RUNNING = f"""
SELECT plan.id FROM incidents_maintenancewindow AS plan JOIN checks_check AS watched ON {COVERS}
WHERE plan.running_until_at > %(now)s AND watched.id = %(check_id)s
"""  # noqa: S608 - constants alone


def running_windows_of(check_id: UUID) -> list[MaintenanceWindow]:
    """Return the windows that cover a check now, the one that ends last first."""
    given = grouped(AT_WORK, among=[check_id]).values() | {"check_id": check_id, "now": clock.now()}
    with connection.cursor() as cursor:
        cursor.execute(RUNNING, given)
        found = [window_id for (window_id,) in cursor.fetchall()]
    return list(MaintenanceWindow.objects.filter(id__in=found).order_by("-running_until_at", "id"))


def public_windows_of(check_ids: Collection[UUID]) -> dict[MaintenanceWindow, list[UUID]]:
    """Return the public windows that run or are to come, and which of the checks each covers."""
    given = grouped(TO_COME, among=check_ids).values() | {"check_ids": list(check_ids), "now": clock.now()}
    with connection.cursor() as cursor:
        cursor.execute(PUBLIC, given)
        covered: dict[UUID, list[UUID]] = dict(cursor.fetchall())
    windows = MaintenanceWindow.objects.in_bulk(covered) if covered else {}
    return {window: covered[window_id] for window_id, window in windows.items()}
