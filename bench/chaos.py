"""Kill -9 at random while 300 checks flip and every fifth message is refused; then count.

    make bench-chaos                    60 kills, about 12 minutes
    make bench-chaos ARGS="--kills 5"   a short one

Counted: one result per turn of every check, one outage per flip to down, one delivery per outage and turn of events,
nothing stored twice, and how long after each kill everything due was done again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import psycopg

from bench._product import Product, kill_tree, running_product
from bench._servers import FlipTarget, SlackSink

CHECKS = 300
INTERVAL_SECONDS = 20
FLIP_EVERY_SECONDS = 300  # fewer changes than flapping takes: what flaps is told of once, not each time
SETTLE_SECONDS = 900
RECOVERY_LIMIT_SECONDS = 15.0
VICTIMS = ("web", "probes", "events", "deliveries", "scheduler", "redis", "postgres")

SETUP = """
from apps.checks.domain.checks import Timing, create_check
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.notifications.domain.channels import Draft, create_channel
from apps.notifications.channels.registry import CHANNEL_TYPES
from apps.notifications.models import Channel
from apps.checks.models import Check
from apps.tenants.models import Tenant
tenant = Tenant.objects.order_by("created_at").first()
timing = Timing(interval_seconds={interval}, timeout_seconds=5, retries=0)
with tenant_scope(tenant.id):
    for check in Check.objects.all():
        check.delete()
    Channel.objects.all().update(is_enabled=False)
    config = parse_config(CHANNEL_TYPES.get("slack").Config, {{"url": "{sink}"}})
    create_channel(kind="slack", draft=Draft(name="Sink", config=config, is_default=True))
    for number in range({checks}):
        config = parse_config(CHECK_TYPES.get("http").Config, {{"url": f"{target}/{{number}}"}})
        create_check(name=f"c{{number:03}}", kind="http", config=config, timing=timing)
"""

OVERDUE = """
SELECT (SELECT count(*) FROM checks_turn WHERE claimable_at < now() - interval '2 seconds'),
       (SELECT count(*) FROM events_outboxrow WHERE created_at < now() - interval '3 seconds' AND attempts < 2)
"""


OPEN_WORK = """
SELECT (SELECT count(*) FROM incidents_outage WHERE ended_at IS NULL) + (SELECT count(*) FROM events_outboxrow)
     + (SELECT count(*) FROM notifications_delivery WHERE state IN ('pending', 'sending'))
"""


@dataclass
class Tally:
    """What was counted; every list must end empty."""

    kills: Counter[str] = field(default_factory=Counter)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=60)
    options.add_argument("--seed", type=int, default=7)
    chosen = options.parse_args()
    random.seed(chosen.seed)
    tally = Tally()
    with FlipTarget() as target, SlackSink(fail_every=5) as sink, running_product(ALLOW_PRIVATE_TARGETS="1") as product:
        product.python(SETUP.format(interval=INTERVAL_SECONDS, sink=sink.url, checks=CHECKS, target=target.url))
        _await_first_results(product)
        with target.flipping(CHECKS, every_seconds=FLIP_EVERY_SECONDS):
            for _ in range(chosen.kills):
                time.sleep(random.uniform(3, 7))
                _kill_one(product, tally)
        target.mend_all()
        _settle(product)
        _count(product, sink, tally)
    return _report(tally)


def _await_first_results(product: Product) -> None:
    with product.database() as database:
        for _ in range(120):
            (waiting,) = database.execute(
                "SELECT count(*) FROM checks_turn WHERE last_result_at IS NULL"
            ).fetchone() or (1,)
            if not waiting:
                return
            time.sleep(0.5)
    raise SystemExit("the checks never ran")


def _settle(product: Product) -> None:
    """Wait until every check is up again and every message is sent: a fifth of them is refused, some several times over."""
    time.sleep(3 * INTERVAL_SECONDS)
    deadline = time.monotonic() + SETTLE_SECONDS
    with product.database() as database:
        while time.monotonic() < deadline:
            (open_work,) = database.execute(OPEN_WORK).fetchone() or (0,)
            if not open_work:
                return
            time.sleep(1)


def _kill_one(product: Product, tally: Tally) -> None:
    victim = random.choice(VICTIMS)
    before = product.parts()
    if victim not in before:
        raise SystemExit(f"no part {victim!r} among {sorted(before)}")
    kill_tree(before[victim])
    killed_at = time.monotonic()
    tally.kills[victim] += 1
    while time.monotonic() - killed_at < 60:
        time.sleep(0.2)
        if product.parts().get(victim) != before[victim] and _is_calm(product):
            break
    took = time.monotonic() - killed_at
    tally.recoveries.append((victim, took))
    print(f"kill {sum(tally.kills.values()):3}  {victim:<11} calm again after {took:4.1f} s", flush=True)


def _is_calm(product: Product) -> bool:
    try:
        with product.database() as database:
            return database.execute(OVERDUE).fetchone() == (0, 0)
    except psycopg.Error:
        return False


LOST_TURNS = f"""
SELECT coalesce(sum(round(extract(epoch FROM due_at - before) / {INTERVAL_SECONDS}) - 1), 0)
FROM (SELECT due_at, lag(due_at) OVER (PARTITION BY check_id ORDER BY due_at) AS before FROM checks_result) AS turns
WHERE due_at - before > make_interval(secs => {INTERVAL_SECONDS} * 1.5)
"""
TWICE = """
SELECT count(*) FROM (SELECT 1 FROM checks_result GROUP BY check_id, due_at HAVING count(*) > 1) AS doubled
"""
# What the results say, against what was written down as flips.
FLIPS = """
WITH seen AS (
    SELECT check_id, due_at, verdict, lag(verdict) OVER (PARTITION BY check_id ORDER BY due_at) AS before
    FROM checks_result WHERE verdict IN (0, 1)
)
SELECT count(*) FILTER (WHERE verdict = 0 AND before IS DISTINCT FROM 0), count(*) FILTER (WHERE verdict = 1 AND before = 0)
FROM seen
"""
WRITTEN = """
SELECT (SELECT count(*) FROM checks_flip WHERE after = 'down'),
       (SELECT count(*) FROM checks_flip WHERE before = 'down' AND after = 'up')
"""
OUTAGES = """
SELECT count(*), count(DISTINCT opened_by_id), count(*) FILTER (WHERE ended_at IS NULL) FROM incidents_outage
"""
DELIVERIES = """
SELECT count(*), count(DISTINCT key), count(*) FILTER (WHERE delivery.state <> 'sent'), coalesce(sum(attempts), 0)
FROM notifications_delivery AS delivery JOIN notifications_channel AS channel ON channel.id = delivery.channel_id
WHERE channel.kind = 'slack'
"""


def _count(product: Product, sink: SlackSink, tally: Tally) -> None:
    with product.database() as database:

        def row(sql: str) -> tuple[int, ...]:
            return tuple(int(value) for value in database.execute(sql).fetchone() or ())

        (results,) = row("SELECT count(*) FROM checks_result")
        (lost,), (twice,) = row(LOST_TURNS), row(TWICE)
        seen, written = row(FLIPS), row(WRITTEN)
        outages, openers, still_open = row(OUTAGES)
        deliveries, keys, unsent, tries = row(DELIVERIES)
        (parked,) = row("SELECT count(*) FROM events_outboxrow")
    accepted = sink.accepted_by_key()
    repeats = sum(count - 1 for count in accepted.values())
    print(f"\nresults {results}, turns lost {lost}, results stored twice {twice}")
    print(f"flips by the results: {seen[0]} down, {seen[1]} up; written: {written[0]} down, {written[1]} up")
    print(f"outages {outages} (from {openers} flips), still open {still_open}; events left {parked}")
    print(f"deliveries {deliveries} with {keys} keys in {tries} tries, not sent {unsent}")
    print(
        f"messages accepted {sum(accepted.values())} for {len(accepted)} keys, repeats {repeats}, refused {sink.refused}"
    )
    wrong = {
        "turns lost": lost,
        "results stored twice": twice,
        "flips that differ from the results": abs(seen[0] - written[0]) + abs(seen[1] - written[1]),
        "outages that differ from the flips": abs(outages - written[0]) + abs(outages - openers),
        "outages still open": still_open,
        "deliveries missing or doubled": abs(deliveries - 2 * outages) + abs(deliveries - keys),
        "deliveries not sent": unsent,
        "keys never received": keys - len(accepted),
        "events left behind": parked,
        "repeats beyond one per kill": max(0, repeats - sum(tally.kills.values())),
    }
    tally.problems += [f"{name}: {count}" for name, count in wrong.items() if count]


def _report(tally: Tally) -> int:
    print(
        f"\nkills {sum(tally.kills.values())}: "
        + ", ".join(f"{name} {count}" for name, count in sorted(tally.kills.items()))
    )
    worst = max(tally.recoveries, key=lambda pair: pair[1])
    times = sorted(took for _, took in tally.recoveries)
    print(f"recovery: median {times[len(times) // 2]:.1f} s, worst {worst[1]:.1f} s ({worst[0]})")
    if worst[1] > RECOVERY_LIMIT_SECONDS:
        tally.problems.append(f"recovery took {worst[1]:.1f} s after a kill of {worst[0]}")
    print("\n".join(["", *tally.problems]) if tally.problems else "\nnothing lost, nothing twice")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
