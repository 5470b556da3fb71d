"""The clock of the whole product is set ahead by an hour, back, back by an hour, and ahead again; then count.

    make bench-clock-steps                        four steps, 100 seconds apart
    make bench-clock-steps ARGS="--seconds 200"

Web, workers, PostgreSQL and Redis go by one wall clock that is set; targets, jobs and this program's stopwatch do not.
Counted: the longest time without a probe of each check, outages that a step opened, how long real ones took to be told,
jobs that reported on time and were missed, jobs that fell silent and were not, checks in and out of planned maintenance,
and whatever stood still: events, messages, recurring jobs.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench._kills import TOLD_AGAIN, numbers
from bench._product import Product, running_product
from bench._servers import FlipTarget, SlackSink
from bench._wall_clock import WallClock, wall_clock

HOUR = 3_600
STEPS = (HOUR, 0, -HOUR, 0)
CHECKS, INTERVAL = 100, 20
UNSEEN_SECONDS = 2 * INTERVAL + 30
TOLD_SECONDS = INTERVAL + 30
STANDSTILL_SECONDS = 30
LONGEST_BETWEEN_STARTS = 86_400
# Jobs that report: often, and silent for longer than one period and grace; seldom, and not yet due by any stopwatch.
PERIOD, GRACE, SELDOM = 60, 60, 1_800

SETUP = """
from datetime import timedelta
from apps.checks.domain.checks import Timing, create_check
from apps.checks.models import Check, Heartbeat
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.incidents.domain.maintenance import keep_window
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.notifications.channels.registry import CHANNEL_TYPES
from apps.notifications.domain.channels import Draft, create_channel
from apps.tenants.models import Tenant
import json
timing = Timing(interval_seconds={interval}, timeout_seconds=5, retries=0)
tokens = {{}}
with tenant_scope(Tenant.objects.order_by("created_at").first().id):
    for check in Check.objects.all():
        check.delete()
    config = parse_config(CHANNEL_TYPES.get("slack").Config, {{"url": "{sink}"}})
    create_channel(kind="slack", draft=Draft(name="Sink", config=config, is_default=True))
    for name in [*(f"c{{n}}" for n in range({checks})), *(f"real{{n}}" for n in range(5)), "planned"]:
        config = parse_config(CHECK_TYPES.get("http").Config, {{"url": f"{target}/{{name}}"}})
        check = create_check(name=name, kind="http", config=config, timing=timing)
    for name in [*(f"often{{n}}" for n in range(3)), *(f"silent{{n}}" for n in range(5)), "seldom0", "seldom1"]:
        period = {seldom} if name.startswith("seldom") else {period}
        given = {{"schedule": "simple", "period_seconds": period, "grace_seconds": {grace}}}
        made = create_check(name=name, kind="heartbeat", config=parse_config(CHECK_TYPES.get("heartbeat").Config, given))
        tokens[name] = Heartbeat.objects.get(watched=made).token
    keep_window(None, WindowSettings(
        name="Planned", repeat=Repeat.ONCE, time_zone="UTC", duration=timedelta(hours=1),
        starts_at=clock.now() + timedelta(minutes=40), checks=[check],
    ), actor=None)
print(json.dumps(tokens))
"""
STATES = "SELECT name, state FROM checks_check AS c JOIN checks_checkstate AS s ON s.check_id = c.id"
OUTAGES = """
SELECT watched.name, count(*) FROM incidents_outage AS outage JOIN checks_check AS watched ON watched.id = outage.check_id
GROUP BY watched.name
"""
STILL_OPEN = "SELECT count(*) FROM incidents_outage WHERE ended_at IS NULL"
OPEN = """
SELECT 'event ' || id FROM events_outboxrow UNION ALL
SELECT 'message ' || id FROM notifications_delivery WHERE state IN ('pending', 'sending') AND failures < 3
"""
JOBS = "SELECT name, extract(epoch FROM due_at - now()) FROM events_scheduledjob"


class Watched(FlipTarget):
    """Remembers by a stopwatch when each path was asked last, and its longest time without a question."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, float] = {}
        self.longest: dict[str, float] = {}

    def answer(self, path: str) -> tuple[int, bytes]:
        now = time.monotonic()
        before = self.asked.get(path, now)
        self.asked[path], self.longest[path] = now, max(self.longest.get(path, 0.0), now - before)
        return super().answer(path)


@dataclass
class Seen:
    """What the bench saw by its stopwatch."""

    went_down: dict[str, float] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    open_since: dict[str, float] = field(default_factory=dict)
    stood: dict[str, float] = field(default_factory=dict)
    ahead_since: dict[str, float] = field(default_factory=dict)
    jobs_ahead: set[str] = field(default_factory=set)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=100)
    chosen = options.parse_args()
    bounds = {"checks": CHECKS, "interval": INTERVAL, "period": PERIOD, "grace": GRACE, "seldom": SELDOM}
    with ExitStack() as stack:
        clock, target = stack.enter_context(wall_clock()), stack.enter_context(Watched())
        sink = stack.enter_context(SlackSink(fail_every=4))
        given = {"EXAMPLE_SERVICE": "0", "ALLOW_PRIVATE_TARGETS": "1", **clock.environment}
        product = stack.enter_context(running_product(**given))
        tokens = json.loads(product.python(SETUP.format(sink=sink.url, target=target.url, **bounds)))
        return Run(product, clock, target, sink, tokens, chosen.seconds).go()


class Run:
    """One run through all steps."""

    def __init__(
        self,
        product: Product,
        clock: WallClock,
        target: Watched,
        sink: SlackSink,
        tokens: dict[str, str],
        seconds: int,
    ) -> None:
        self._product, self._clock, self._target, self._sink = product, clock, target, sink
        self._tokens, self._seconds = tokens, seconds
        self._quiet = {name for name in tokens if name.startswith("seldom")}
        self._silent_at: dict[str, float] = {}
        self._silent_at_end: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._seen = Seen()
        self._problems: list[str] = []

    def go(self) -> int:
        for token in self._tokens.values():
            self._ping(token)
        with self._in_background(self._report_often), self._in_background(self._sample):
            self._phase(0, "before")
            for number, apart in enumerate(STEPS, 1):
                self._clock.set_apart(apart)
                self._phase(number, f"clock {apart / HOUR:+.0f} h")
            time.sleep(PERIOD + GRACE + 30)
            self._silent_at_end = dict(self._silent_at)
            self._silent_at.clear()  # they report again
            self._target.mend_all()
            time.sleep(3 * INTERVAL)
        self._count()
        print("\n".join(["", *self._problems]) if self._problems else "\nnothing stood still, nobody was told wrongly")
        return 1 if self._problems else 0

    @contextmanager
    def _in_background(self, work: Any) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=work, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    # --- The world around the product ---

    def _ping(self, token: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._product.port}/ping/{token}", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def _report_often(self, stop: threading.Event) -> None:
        while not stop.wait(10):
            for name, token in self._tokens.items():
                if name not in self._quiet and name not in self._silent_at:
                    self._ping(token)

    def _phase(self, number: int, title: str) -> None:
        """Let a real outage begin soon after the step, let it be mended, and let one job fall silent."""
        began = time.monotonic()
        self._silent_at[f"silent{number}"] = began
        time.sleep(5)
        path, broken_at, messages = f"/real{number}", time.monotonic(), len(self._sink.received)
        self._target.break_path(path)
        while time.monotonic() - began < self._seconds / 2:
            if any(f"real{number}" in json.dumps(one.payload) for one in self._sink.received[messages:]):
                self._told[path] = time.monotonic() - broken_at
                break
            time.sleep(0.2)
        self._target.mend_path(path)
        time.sleep(max(began + self._seconds - time.monotonic(), 0))
        planned = self._seen_states().get("planned", "?")
        print(
            f"{title:<12} outage told after {self._told.get(path, -1):5.1f} s, planned check is {planned}", flush=True
        )
        if (planned == "maintenance") != (number == 1):
            self._problems.append(f"{title}: the check of the planned window is {planned}")

    # --- Looking ---

    def _seen_states(self) -> dict[str, str]:
        with self._product.database() as database:
            return dict(database.execute(STATES).fetchall())

    def _sample(self, stop: threading.Event) -> None:
        while not stop.wait(1):
            try:
                self._look()
            except psycopg.Error as error:
                self._problems.append(f"the database was not there: {error}")

    def _look(self) -> None:
        now, seen = time.monotonic(), self._seen
        with self._product.database() as database:
            states: dict[str, str] = dict(database.execute(STATES).fetchall())
            found = {name for (name,) in database.execute(OPEN).fetchall()}
            ahead = {name: float(seconds) for name, seconds in database.execute(JOBS).fetchall()}
        for name, state in states.items():
            if state == "down" and name.startswith("silent"):
                seen.went_down.setdefault(name, now)
            elif state in ("down", "unknown") and not name.startswith(("real", "silent")):
                seen.wrong.add(f"{name} is {state}")
        for name in found:
            seen.stood[name] = now - seen.open_since.setdefault(name, now)
        put_off = {name for name, seconds in ahead.items() if seconds > LONGEST_BETWEEN_STARTS + STANDSTILL_SECONDS}
        seen.ahead_since = {name: seen.ahead_since.get(name, now) for name in put_off}
        seen.jobs_ahead |= {name for name, since in seen.ahead_since.items() if now - since > STANDSTILL_SECONDS}

    def _count(self) -> None:
        with self._product.database() as database:
            outages: dict[str, int] = dict(database.execute(OUTAGES).fetchall())
            (told_again,), (still_open,) = numbers(database, TOLD_AGAIN), numbers(database, STILL_OPEN)
        unseen = max(self._target.longest.values())
        silent = {name: self._seen.went_down.get(name, float("inf")) - at for name, at in self._silent_at_end.items()}
        stood = max(self._seen.stood.values(), default=0.0)
        real = {f"real{number}": 1 for number in range(len(STEPS) + 1)} | dict.fromkeys(silent, 1)
        print(f"longest time without a probe {unseen:.1f} s; longest standstill of an event or message {stood:.1f} s")
        print("silent jobs noticed after " + ", ".join(f"{seconds:.0f}" for seconds in silent.values()) + " s")
        print(f"outages {sum(outages.values())}, wanted {len(real)}")
        early, late = PERIOD + GRACE - 20, PERIOD + GRACE + STANDSTILL_SECONDS
        wrong = {
            f"checks unseen for more than {UNSEEN_SECONDS} s": sum(
                seconds > UNSEEN_SECONDS for seconds in self._target.longest.values()
            ),
            "outages that differ from what happened": len(set(outages.items()) ^ set(real.items())),
            "outages opened or closed twice": told_again,
            "outages still open": still_open,
            f"outages not told within {TOLD_SECONDS} s": sum(
                self._told.get(f"/real{number}", float("inf")) > TOLD_SECONDS for number in range(len(STEPS) + 1)
            ),
            "silent jobs not noticed in time": sum(not early <= seconds <= late for seconds in silent.values()),
            f"events and messages that stood for more than {2 * STANDSTILL_SECONDS} s": sum(
                seconds > 2 * STANDSTILL_SECONDS for seconds in self._seen.stood.values()
            ),
            "recurring jobs put off": len(self._seen.jobs_ahead),
        }
        self._problems += [f"{name}: {count:.0f}" for name, count in wrong.items() if count]
        self._problems += sorted(self._seen.wrong)
        if set(outages.items()) ^ set(real.items()):
            self._problems.append(f"outages: {sorted(outages.items())}")


if __name__ == "__main__":
    sys.exit(main())
