"""CPU-seconds per 1,000 HTTP checks through the whole product, beside Prometheus with blackbox_exporter doing the same probes.

    make bench-check-rounds                       five rounds of 20,000 checks at 20 s, a thousand a second
    make bench-check-rounds ARGS="--checks 1000"  as many as the peer has: what the product costs in any case weighs more

The product's figure counts every process of it (claim, probe, store, evaluate, live, scheduler, PostgreSQL, Redis, web), the
peer's both of its own: it schedules, probes and stores as well. Both run at the same time; of more than 1,000 checks the peer
is given 1,000, since a thousand probes a second are more than this machine can do with it. The target's time counts for nobody.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

from bench._peers import Scraper, prometheus_scraping
from bench._product import TICKS, Product, running_product
from bench._target import nginx_target

# Made as `create_check` makes one, but thousands at once, and up already: thousands of first flips are no steady state.
SETUP = """
from apps.checks.domain.checks import Timing, create_check
from apps.checks.models import Check, CheckState, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from datetime import timedelta
from django.db import transaction
tenant = Tenant.objects.order_by("created_at").first()
timing = Timing(interval_seconds={interval}, timeout_seconds=5, retries=0)
config = parse_config(CHECK_TYPES.get("http").Config, {{"url": "{target}/0"}})
start = clock.now() + timedelta(seconds=10)
with tenant_scope(tenant.id), transaction.atomic():
    model = create_check(name="c0", kind="http", config=config, timing=timing)
    made = [
        Check(**{{**{{f.attname: getattr(model, f.attname) for f in Check._meta.concrete_fields}}, "id": uuid7(),
                "name": f"c{{n}}", "config": {{**model.config, "url": f"{target}/{{n}}"}}}})
        for n in range(1, {checks})
    ]
    Check.objects.bulk_create(made, batch_size=1_000)
    CheckState.objects.bulk_create([CheckState(watched=check, state="up") for check in made], batch_size=1_000)
    due = [start + timedelta(seconds={interval} * n / {checks}) for n in range({checks})]
    Turn.objects.filter(watched=model).update(due_at=due[0], claimable_at=due[0])
    Turn.objects.bulk_create(
        [Turn(watched=check, region_id=1, due_at=at, claimable_at=at, opinion=1) for check, at in zip(made, due[1:])],
        batch_size=1_000,
    )
"""
PARTS = ("probes", "events", "deliveries", "scheduler", "postgres", "redis", "web")


PEERS_CHECKS = 1_000
AT_MOST, PART_OF_PEER = 0.4, 1 / 6


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=20_000)
    options.add_argument("--interval", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    ours: list[dict[str, float]] = []
    theirs: list[float] = []
    with nginx_target() as target, running_product() as product:
        product.python(SETUP.format(interval=chosen.interval, checks=chosen.checks, target=target))
        targets = [f"{target}/{number}" for number in range(min(chosen.checks, PEERS_CHECKS))]
        with prometheus_scraping(targets, chosen.interval) as peer:
            time.sleep(10 + 2 * chosen.interval)
            _await_calm(product)
            for number in range(chosen.rounds):
                mine, peers = _round(product, peer, chosen.interval)
                ours.append(mine)
                theirs += [peers] if peer else []
                print(f"round {number + 1}  product {sum(mine.values()):.3f}  peer {peers:.3f}", flush=True)
        lateness = _lateness(product)
    return _report(ours, theirs, lateness)


def _await_calm(product: Product) -> None:
    """Let the first results' flips be worked off: they come once, not per check."""
    with product.database() as database:
        while (database.execute("SELECT count(*) FROM events_outboxrow").fetchone() or (0,))[0]:
            time.sleep(1)


def _round(product: Product, peer: Scraper | None, seconds: float) -> tuple[dict[str, float], float]:
    """Return the CPU-seconds per 1,000 probes of each part of the product, and of the peer, in the same time."""
    with product.database() as database:
        mine, theirs = product.cpu_seconds(), _cost(peer)
        stored = -_stored(database)
        time.sleep(seconds)
        stored += _stored(database)
        mine_then, theirs_then = product.cpu_seconds(), _cost(peer)
    parts = {name: (mine_then[name] - mine[name]) * 1_000 / max(stored, 1) for name in PARTS if name in mine}
    return parts, (theirs_then[0] - theirs[0]) * 1_000 / max(theirs_then[1] - theirs[1], 1)


def _stored(database: Any) -> int:
    return int(database.execute("SELECT count(*) FROM checks_result").fetchone()[0])


def _cost(peer: Scraper | None) -> tuple[float, int]:
    """Return what the peer has used and done so far."""
    return (sum(map(_process_seconds, peer.pids)), peer.probes()) if peer else (0.0, 0)


def _process_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _lateness(product: Product) -> tuple[float, float]:
    """Return the median and 99th percentile of how late probes started, in milliseconds."""
    with product.database() as database:
        row = database.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY late), percentile_cont(0.99) WITHIN GROUP (ORDER BY late)"
            " FROM (SELECT extract(epoch FROM started_at - due_at) * 1000 AS late FROM checks_result"
            " WHERE due_at > now() - interval '60 seconds') AS starts"
        ).fetchone()
    return float(row[0]), float(row[1])  # type: ignore[index]


def _report(ours: list[dict[str, float]], theirs: list[float], lateness: tuple[float, float]) -> int:
    totals = [sum(entry.values()) for entry in ours]
    whole = statistics.median(totals)
    print("\nCPU-seconds per 1,000 checks, median by part:")
    for name in PARTS:
        print(f"  {name:<11} {statistics.median(entry.get(name, 0.0) for entry in ours):.3f}")
    print(f"  whole       {whole:.3f}   (min {min(totals):.3f}, max {max(totals):.3f})")
    print(f"started late: median {lateness[0]:.0f} ms, p99 {lateness[1]:.0f} ms")
    is_reached = whole <= AT_MOST
    if theirs:
        peer = statistics.median(theirs)
        print(f"Prometheus and blackbox_exporter: {peer:.3f}   (min {min(theirs):.3f}, max {max(theirs):.3f})")
        print(f"ratio: {whole / peer:.3f} (at most {PART_OF_PEER:.3f})")
        is_reached = is_reached and whole / peer <= PART_OF_PEER
    print("reached" if is_reached else "MISSED")
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
