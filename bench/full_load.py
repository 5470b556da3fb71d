"""20,000 HTTP checks at 20 s, a thousand of them on targets that hang for 30 s: is any late, is any round missed?

    make bench-full-load                                  five minutes
    make bench-full-load ARGS="--minutes 30"              as long as the goals say
    make bench-full-load ARGS="--minutes 10 --kills 20"   parts of the product are killed meanwhile

The product runs whole, PostgreSQL and the targets beside it on the same machine. Each minute is told as it passes, and the
end judges the goals, by the checks that answer: one that hangs for longer than its interval skips a turn by itself. With
``--kills`` some checks flip, random parts die by ``kill -9``, and what counts is that nothing
is lost and nothing happens twice; how late things are says nothing then.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench import _kills
from bench._kills import numbers
from bench._product import Product, running_product, tree
from bench._servers import FlipTarget
from bench._silent import silent_target
from bench._target import nginx_target
from bench.check_rounds import PARTS, SETUP

INTERVAL = 20
HANG_SECONDS = 30
WARM_UP_SECONDS = 45
FLIPPING = 200
FLIP_EVERY_SECONDS = 300  # fewer changes than flapping takes
SETTLE_SECONDS = 300
P99_MS, P99_BESIDE_HANGING_MS, RSS_MIB, CPU_SECONDS = 1_000, 1_500, 200, 0.4
# What a check may be unseen for when a part died: one turn of its own, one that was lost, and 30 seconds.
UNSEEN_SECONDS = 2 * INTERVAL + 30

# Hanging and flipping ones lie evenly among the others. Those that hang are down from the start: that many first flips at
# once are no steady state.
PICK = """
from apps.checks.models import Check, CheckState, Turn
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from django.db import transaction
def pick(count, url, name, *, skip, **timing):
    checks = list(Check.objects.filter(name__startswith="c").order_by("id"))
    chosen = checks[skip::max(len(checks) // max(count, 1), 1)][:count]
    for number, check in enumerate(chosen):
        check.name, check.config = f"{{name}}{{number}}", {{**check.config, "url": f"{{url}}/{{number}}"}}
        for field, value in timing.items():
            setattr(check, field, value)
    Check.objects.bulk_update(chosen, ["name", "config", *timing], batch_size=1_000)
    return chosen
with tenant_scope(Tenant.objects.order_by("created_at").first().id), transaction.atomic():
    hanging = pick({hanging}, "{silent}", "h", skip=3, timeout_seconds={hang_seconds})
    CheckState.objects.filter(watched__in=hanging).update(state="down")
    Turn.objects.filter(watched__in=hanging).update(opinion=0)
    pick({flipping}, "{flip}", "f", skip=7)
"""
# Results are appended: what came after the last one seen lies behind it, and reading that costs the product nothing.
FRESH = """
SELECT count(*), max(late.ctid)::text, watched.name LIKE 'h%%' AS hangs,
       percentile_cont(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - due_at) * 1000)
FROM checks_result AS late JOIN checks_check AS watched ON watched.id = late.check_id
WHERE late.ctid > %(after)s::tid AND late.tableoid = %(table)s GROUP BY hangs
"""
TABLES = (
    "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'checks_result'::regclass AND pg_relation_size(inhrelid) > 0"
)
LATENESS = """
SELECT percentile_cont(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - due_at) * 1000)
FROM checks_result JOIN checks_check AS watched ON watched.id = check_id
WHERE watched.name LIKE %(names)s AND due_at BETWEEN %(since)s AND %(until)s
"""


@dataclass
class Minute:
    """What a minute saw; lateness in milliseconds: median, 99th percentile, worst."""

    stored: int = 0
    healthy: list[float] = field(default_factory=list)
    hanging: list[float] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    rss_mib: float = 0.0


class Watch:
    """Looks at a running product once a minute. What looking itself costs is not counted as the product's."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._seen: dict[int, str] = {}
        self._fresh()
        self._used = product.cpu_seconds()

    def minute(self) -> Minute:
        used = self._product.cpu_seconds()
        found = self._fresh()
        found.rss_mib = peak_rss_mib(self._product)
        spent = {name: used[name] - self._used[name] for name in PARTS if name in used and name in self._used}
        found.cost = {name: seconds * 1_000 / max(found.stored, 1) for name, seconds in spent.items()}
        self._used = self._product.cpu_seconds()
        return found

    def _fresh(self) -> Minute:
        found = Minute()
        with self._product.database() as database:
            for (table,) in database.execute(TABLES).fetchall():
                self._read(database, table, found)
        return found

    def _read(self, database: psycopg.Connection[tuple[Any, ...]], table: int, found: Minute) -> None:
        rows = database.execute(FRESH, {"table": table, "after": self._seen.get(table, "(0,0)")}).fetchall()
        for count, _last, hangs, lateness in rows:
            found.stored += count
            if hangs:
                found.hanging = lateness
            else:
                found.healthy = lateness
        if rows:
            self._seen[table] = max((row[1] for row in rows), key=_place)


def _place(tid: str) -> tuple[int, ...]:
    return tuple(map(int, tid.strip("()").split(",")))


def peak_rss_mib(product: Product) -> float:
    """Return the most memory that the probing worker has held, with all it started."""
    return sum(_high_water(pid) for pid in tree(product.parts().get("probes", -1)))


def _high_water(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) / 1_024 for line in status if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=20_000)
    options.add_argument("--minutes", type=int, default=5)
    options.add_argument("--hanging", type=int, default=1_000)
    options.add_argument("--kills", type=int, default=0)
    options.add_argument("--seed", type=int, default=7)
    chosen = options.parse_args()
    with ExitStack() as stack:
        nginx, silent = stack.enter_context(nginx_target()), stack.enter_context(silent_target())
        flipping = stack.enter_context(FlipTarget())
        product = stack.enter_context(running_product(EXAMPLE_SERVICE="0"))
        product.python(SETUP.format(interval=INTERVAL, checks=chosen.checks, target=nginx))
        flips = FLIPPING if chosen.kills else 0
        picked = {"hanging": chosen.hanging, "silent": silent, "hang_seconds": HANG_SECONDS}
        product.python(PICK.format(**picked, flipping=flips, flip=flipping.url))
        time.sleep(WARM_UP_SECONDS)
        with product.database() as database:
            (since,) = database.execute("SELECT now()").fetchone() or (None,)
        kills: list[tuple[str, float]] = []
        with _killing(product, flipping, chosen, kills) if chosen.kills else ExitStack():
            minutes = _watch(product, chosen.minutes)
        if chosen.kills:
            flipping.mend_all()
            time.sleep(3 * INTERVAL)
            _kills.await_no_open_work(product, SETTLE_SECONDS)
        return _judge(product, minutes, kills, since, chosen)


@contextmanager
def _killing(
    product: Product, target: FlipTarget, chosen: argparse.Namespace, kills: list[tuple[str, float]]
) -> Iterator[None]:
    """Kill random parts, evenly over the time, while some checks flip."""
    stop, chance = threading.Event(), random.Random(chosen.seed)
    every = chosen.minutes * 60 / (chosen.kills + 1)

    def work() -> None:
        while len(kills) < chosen.kills and not stop.wait(every * chance.uniform(0.5, 1)):
            victim = chance.choice(_kills.VICTIMS)
            kills.append((victim, _kills.kill(product, victim)))
            print(f"kill {len(kills):3}  {victim:<11} calm again after {kills[-1][1]:4.1f} s", flush=True)

    thread = threading.Thread(target=work, daemon=True)
    with target.flipping(FLIPPING, every_seconds=FLIP_EVERY_SECONDS):
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _watch(product: Product, count: int) -> list[Minute]:
    watch, minutes = Watch(product), []
    print(
        "minute   stored   healthy: median  p99  worst ms   hanging: median  p99  worst ms   CPU-s/1,000   MiB",
        flush=True,
    )
    begin = time.monotonic()
    for number in range(1, count + 1):
        time.sleep(max(begin + number * 60 - time.monotonic(), 0))
        try:
            minute = watch.minute()
        except psycopg.Error as error:  # its database was just killed
            print(f"{number:6}   not seen: {error}".splitlines()[0], flush=True)
            continue
        minutes.append(minute)
        print(
            f"{number:6}{minute.stored:9}   {_times(minute.healthy):>27}      {_times(minute.hanging):>27}"
            f"   {sum(minute.cost.values()):11.3f} {minute.rss_mib:5.0f}",
            flush=True,
        )
    return minutes


def _times(lateness: list[float]) -> str:
    return "  ".join(f"{value:7.0f}" for value in lateness) if lateness else "-"


@dataclass(frozen=True)
class Goal:
    """One thing that was promised, and what was seen of it."""

    name: str
    seen: float
    limit: float

    def told(self) -> str:
        return f"{'reached' if self.seen <= self.limit else 'MISSED ':7}  {self.name}: {self.seen:.3f} (at most {self.limit})"


def _judge(
    product: Product, minutes: list[Minute], kills: list[tuple[str, float]], since: Any, chosen: argparse.Namespace
) -> int:
    with product.database() as database:
        (until,) = database.execute("SELECT now() - interval '5 seconds'").fetchone() or (None,)
        given = {"interval": INTERVAL, "since": since, "until": until}
        found = {name: numbers(database, _kills.MISSED, **given, names=names) for name, names in KINDS.items()}
        late = {
            name: (database.execute(LATENESS, {**given, "names": names}).fetchone() or (None,))[0] or []
            for name, names in KINDS.items()
        }
        (twice,) = numbers(database, _kills.TWICE)
        goals = [Goal("results stored twice", twice, 0)]
        seen = sum(entry[2] for entry in found.values())
        goals.append(Goal("checks never probed", chosen.checks - seen, 0))
        if kills:
            unseen = max(found["healthy"][1], found["flipping"][1])
            goals.append(Goal("longest time a check was unseen, s", unseen, UNSEEN_SECONDS))
            goals += _history(database)
    for name, (missed, unseen, _checks) in found.items():
        print(f"{name:<9} rounds missed {missed:.0f}, longest time unseen {unseen:.1f} s; late {_times(late[name])} ms")
    if not kills:
        goals += _speed(minutes, found["healthy"][0], late["healthy"], hanging=chosen.hanging)
    print("\n" + "\n".join(goal.told() for goal in goals))
    return int(any(goal.seen > goal.limit for goal in goals))


KINDS = {"healthy": "c%", "hanging": "h%", "flipping": "f%"}


def _history(database: psycopg.Connection[tuple[Any, ...]]) -> list[Goal]:
    """Return what must have happened once: flips by the results, outages by the flips."""
    seen, written, outages = (
        numbers(database, sql, names="f%") for sql in (_kills.FLIPS, _kills.WRITTEN, _kills.OUTAGES)
    )
    (told_again,) = numbers(database, _kills.TOLD_AGAIN)
    (others,) = numbers(database, _kills.OUTAGES, names="c%")[:1]
    print(f"flips {written[0]:.0f} down and {written[1]:.0f} up, outages {outages[0]:.0f}")
    return [
        Goal("flips that differ from the results", abs(seen[0] - written[0]) + abs(seen[1] - written[1]), 0),
        Goal("outages that differ from the flips", abs(outages[0] - written[0]) + abs(outages[0] - outages[1]), 0),
        Goal("outages opened or closed twice", told_again, 0),
        Goal("outages still open", outages[2], 0),
        Goal("outages of checks whose target was well", others, 0),
    ]


def _speed(minutes: list[Minute], missed: float, late: list[float], *, hanging: int) -> list[Goal]:
    print("\nCPU-seconds per 1,000 checks, median of the minutes, by part:")
    for name in PARTS:
        print(f"  {name:<11} {statistics.median(minute.cost.get(name, 0.0) for minute in minutes):.3f}")
    p99 = "p99 of the start lateness" + (" beside hanging targets, ms" if hanging else ", ms")
    return [
        Goal("rounds missed by checks that answer", missed, 0),
        Goal(p99, late[1], P99_BESIDE_HANGING_MS if hanging else P99_MS),
        *([Goal("the same against the goal without hanging targets, ms", late[1], P99_MS)] if hanging else []),
        Goal("memory of the probing worker, MiB", max(minute.rss_mib for minute in minutes), RSS_MIB),
        Goal(
            "CPU-seconds per 1,000 checks, whole product",
            statistics.median(sum(minute.cost.values()) for minute in minutes),
            CPU_SECONDS,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
