"""Any story of maintenance against looking minute by minute: who is held, and from when to when."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import time_machine

from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.checks import create_check
from apps.checks.domain.flips import Change, change_state
from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Flip
from apps.checks.types.group import GroupConfig
from apps.events.domain.outbox import deliver_pending
from apps.incidents.domain.maintenance import NotRunning, delete_window, end_now, keep_window
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.domain.windows import Occurrence, Plan, occurrences
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

MINUTE = timedelta(minutes=1)
# Nights in which clocks change: in Berlin at two and at three, in Havana and Beirut at midnight.
NIGHTS = [
    ("Europe/Berlin", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 20, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 3, 8, 0, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 10, 31, 22, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 3, 28, 16, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 10, tzinfo=UTC)),
    ("UTC", datetime(2026, 11, 21, 20, tzinfo=UTC)),
]


# --- When a window takes place ----------------------------------------------------------------------------------------------


def begins_weekly(moment: datetime, plan: Plan) -> bool:
    """Whether a weekly window begins with that minute: its wall clock says so for the first time that day; what the clocks
    leave out counts as if they had not been put forward yet."""
    zone = ZoneInfo(plan.time_zone)
    local = moment.astimezone(zone)
    shows = local.replace(tzinfo=None, fold=0)
    if shows.time() == plan.time_of_day and shows.weekday() in plan.weekdays and not local.fold:
        return True
    before = (moment - timedelta(hours=3)).astimezone(zone).utcoffset()
    would = (moment + (before or timedelta(0))).replace(tzinfo=None)
    is_left_out = would.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != would
    return is_left_out and would.time() == plan.time_of_day and would.weekday() in plan.weekdays


@pytest.mark.parametrize(("zone", "evening"), NIGHTS)
def test_weekly_windows_begin_where_the_wall_clock_says_so(zone: str, evening: datetime) -> None:
    luck = random.Random(zone)
    for _round in range(12):
        plan = Plan(
            repeat=Repeat.WEEKLY,
            time_zone=zone,
            duration=luck.choice([1, 30, 180, 1_500]) * MINUTE,
            weekdays=frozenset(luck.sample(range(7), 4)),
            time_of_day=time(luck.choice([0, 0, 1, 2, 2, 3, 23]), luck.choice([0, 15, 30, 59])),
        )
        minutes = [evening + number * MINUTE for number in range(20 * 60)]

        found = [one.starts_at for one in _between(plan, minutes[0], minutes[-1])]

        assert found == [moment for moment in minutes if begins_weekly(moment, plan)]


def _between(plan: Plan, first: datetime, last: datetime) -> Iterator[Occurrence]:
    for one in occurrences(plan, since=first):
        if one.starts_at > last:
            return
        if one.starts_at >= first:
            yield one


# --- Who is held ------------------------------------------------------------------------------------------------------------


# A tag that is given or taken moves a check into the inner group or out of it, too.
GROUPS = {
    "inner": GroupConfig(members=["check 0"], tag="db"),
    "outer": GroupConfig(members=["check 1", "inner"]),
}


class Story:
    """Checks and windows that people change at random, while the job comes round more or less often."""

    def __init__(self, seed: int, hand: time_machine.Traveller, start: datetime) -> None:
        self.luck, self.hand, self.now = random.Random(seed), hand, start
        self.checks = [make_check(f"check {number}", state=State.UP) for number in range(4)]
        groups = [create_check(name=name, kind="group", config=config) for name, config in GROUPS.items()]
        self.plain, self.checks = self.checks, self.checks + groups
        CheckState.objects.update(since_at=start - timedelta(days=1))

    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.hand.move_to(self.now)

    def settings(self) -> WindowSettings:
        luck = self.luck
        repeat = luck.choice(list(Repeat))
        at = self.now + luck.randint(-40, 60) * MINUTE
        names = luck.sample(self.checks, luck.randint(0, 2))
        return WindowSettings(
            name="Disks",
            repeat=repeat,
            time_zone="UTC",
            duration=luck.choice([10, 20, 45, 60]) * MINUTE,
            starts_at=at if repeat == Repeat.ONCE or luck.random() < 0.3 else None,
            repeats_until_at=at + 3 * timedelta(hours=1) if repeat != Repeat.ONCE and luck.random() < 0.3 else None,
            weekdays=[at.weekday()] if repeat == Repeat.WEEKLY else [],
            time_of_day=at.time() if repeat == Repeat.WEEKLY else None,
            cron=luck.choice(["0 * * * *", "*/30 * * * *", "15,45 * * * *"]) if repeat == Repeat.CRON else "",
            covers_all=luck.random() < 0.1,
            tags=["db"] if not names or luck.random() < 0.4 else [],
            checks=names,
        )

    def act(self) -> None:
        """Somebody does something."""
        windows = list(MaintenanceWindow.objects.order_by("created_at"))
        window = self.luck.choice(windows) if windows else None
        check = self.luck.choice(self.checks)
        what = self.luck.choice(["plan", "plan", "change", "delete", "end", "tag", "untag"])
        if what in ("tag", "untag"):
            check = self.luck.choice(self.plain)
            act_on([Check.objects.get(id=check.id)], BulkAction(what), tags=["db"])
        elif what == "plan" or window is None:
            keep_window(None, self.settings(), actor=None)
        elif what == "change":
            keep_window(window, self.settings(), actor=None)
        elif what == "delete":
            delete_window(window)
        elif window.is_running:
            try:
                end_now(window_id=window.id)
            except NotRunning:
                return

    def windows(self) -> list[tuple[MaintenanceWindow, set[str]]]:
        """Each window with the names of the checks that it covers."""
        checks = list(Check.objects.all())
        found = []
        for window in MaintenanceWindow.objects.all():
            named = set(window.checks.values_list("name", flat=True))
            tagged = {check.name for check in checks if window.covers_all or set(window.tags) & set(check.tags)}
            inner = {"check 0"} | {check.name for check in checks if "db" in check.tags}
            within = {"inner": inner, "outer": {"check 1", "inner"} | inner}
            found.append((window, named.union(tagged, *(within.get(name, ()) for name in named))))
        return found

    def expected(self, windows: list[tuple[MaintenanceWindow, set[str]]]) -> dict[str, bool]:
        """Which checks are held now, by what the windows say and nothing else."""
        running = [names for window, names in windows if takes_place(window, self.now)]
        return {check.name: any(check.name in names for names in running) for check in self.checks}

    def found(self) -> dict[str, bool]:
        rows = CheckState.objects.values_list("watched__name", "state")
        return {name: state == State.MAINTENANCE for name, state in rows}


def takes_place(window: MaintenanceWindow, now: datetime) -> bool:
    """Look at each minute at which it might have begun."""
    for back in range(int(window.duration / MINUTE)):
        moment = now - back * MINUTE
        is_cut_off = window.cut_off_at and moment <= window.cut_off_at <= now
        is_within = (window.starts_at is None or moment >= window.starts_at) and (
            window.repeat == Repeat.ONCE or window.repeats_until_at is None or moment < window.repeats_until_at
        )
        if _begins(window, moment) and is_within and not is_cut_off:
            return True
    return False


def _begins(window: MaintenanceWindow, moment: datetime) -> bool:
    if window.repeat == Repeat.ONCE:
        return moment == window.starts_at
    if window.repeat == Repeat.WEEKLY:
        return moment.weekday() in window.weekdays and moment.time() == window.time_of_day
    minutes = {"0 * * * *": {0}, "*/30 * * * *": {0, 30}, "15,45 * * * *": {15, 45}}[window.cron]
    return moment.minute in minutes


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whoever_is_covered_is_held_and_nobody_else(in_acme: Tenant, seed: int) -> None:
    start = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)  # past midnight, into another day of the week
    with time_machine.travel(start, tick=False) as hand:
        story = Story(seed, hand, start)
        for _step in range(40):
            story.wait(story.luck.choice([0, 1, 4, 10, 25]))
            if story.luck.random() < 0.5:
                story.act()
            if story.luck.random() < 0.3:  # a result, before the job comes round
                check = story.luck.choice(story.checks)
                after = story.luck.choice([State.UP, State.DOWN])
                change_state(check.id, Change(after=after, at=story.now), only_from=[State.UP, State.DOWN])
                deliver_pending()
            apply_edges()

            assert story.found() == story.expected(story.windows()), f"step {_step} at {story.now}"

    for check in story.checks:
        flips = list(Flip.objects.filter(watched=check).order_by("sequence"))
        assert all(one.after == two.before and one.at <= two.at for one, two in pairwise(flips))


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [4, 5])
def test_whoever_is_held_is_so_to_the_minute_though_the_job_comes_late(in_acme: Tenant, seed: int) -> None:
    start = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as hand:
        story = Story(seed, hand, start)
        for _window in range(3):
            keep_window(None, story.settings(), actor=None)
        windows = story.windows()
        held, turns = story.expected(windows), dict[str, list[datetime]]()
        for _minute in range(180):
            story.wait(1)
            before, held = held, story.expected(windows)
            changed = [name for name in held if held[name] != before[name]]
            for name in changed:
                turns.setdefault(name, []).append(story.now)
            if changed or story.luck.random() < 0.05:
                hand.move_to(story.now + timedelta(seconds=story.luck.randint(1, 59)))
                apply_edges()

    for check in story.checks:
        flips = Flip.objects.filter(watched=check, at__gt=start).order_by("sequence")
        assert list(flips.values_list("at", flat=True)) == turns.get(check.name, [])
