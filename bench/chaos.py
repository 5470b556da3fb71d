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

from bench._kills import (
    FLIPS,
    MISSED,
    OUTAGES,
    TOLD_AGAIN,
    TWICE,
    VICTIMS,
    WRITTEN,
    await_no_open_work,
    kill,
    numbers,
)
from bench._product import Product, running_product
from bench._servers import FlipTarget, SlackSink

CHECKS = 300
INTERVAL_SECONDS = 20
FLIP_EVERY_SECONDS = 300  # fewer changes than flapping takes: what flaps is told of once, not each time
SETTLE_SECONDS = 900
RECOVERY_LIMIT_SECONDS = 15.0

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
        # Until every check is up again and every message is sent: a fifth of them is refused, some several times over.
        time.sleep(3 * INTERVAL_SECONDS)
        await_no_open_work(product, SETTLE_SECONDS)
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


def _kill_one(product: Product, tally: Tally) -> None:
    victim = random.choice(VICTIMS)
    tally.kills[victim] += 1
    took = kill(product, victim)
    tally.recoveries.append((victim, took))
    print(f"kill {sum(tally.kills.values()):3}  {victim:<11} calm again after {took:4.1f} s", flush=True)


DELIVERIES = """
SELECT count(*), count(DISTINCT key), count(*) FILTER (WHERE delivery.state <> 'sent'), coalesce(sum(attempts), 0)
FROM notifications_delivery AS delivery JOIN notifications_channel AS channel ON channel.id = delivery.channel_id
WHERE channel.kind = 'slack'
"""


def _count(product: Product, sink: SlackSink, tally: Tally) -> None:
    with product.database() as database:
        (now,) = database.execute("SELECT now() - interval '5 seconds'").fetchone() or (None,)

        def row(sql: str) -> tuple[int, ...]:
            given = {"names": "c%", "interval": INTERVAL_SECONDS, "since": "-infinity", "until": now}
            return tuple(map(int, numbers(database, sql, **given)))

        (results,) = row("SELECT count(*) FROM checks_result")
        (lost, longest, watched), (twice,), (told_again,) = row(MISSED), row(TWICE), row(TOLD_AGAIN)
        seen, written = row(FLIPS), row(WRITTEN)
        outages, openers, still_open = row(OUTAGES)
        deliveries, keys, unsent, tries = row(DELIVERIES)
        (parked,) = row("SELECT count(*) FROM events_outboxrow")
    accepted = sink.accepted_by_key()
    repeats = sum(count - 1 for count in accepted.values())
    print(f"\nresults {results}, turns lost {lost}, longest time unseen {longest} s, results stored twice {twice}")
    print(f"flips by the results: {seen[0]} down, {seen[1]} up; written: {written[0]} down, {written[1]} up")
    print(f"outages {outages} (from {openers} flips), still open {still_open}; events left {parked}")
    print(f"deliveries {deliveries} with {keys} keys in {tries} tries, not sent {unsent}")
    print(
        f"messages accepted {sum(accepted.values())} for {len(accepted)} keys, repeats {repeats}, refused {sink.refused}"
    )
    wrong = {
        "checks never probed": CHECKS - watched,
        "turns lost": lost,
        "results stored twice": twice,
        "flips that differ from the results": abs(seen[0] - written[0]) + abs(seen[1] - written[1]),
        "outages that differ from the flips": abs(outages - written[0]) + abs(outages - openers),
        "outages opened or closed twice": told_again,
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
