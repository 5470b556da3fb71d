"""CPU-seconds per 1,000 HTTP checks through the whole product, beside Prometheus with blackbox_exporter doing the same probes.

    make bench-check-rounds                       five rounds of 20,000 checks at 20 s, a thousand a second
    make bench-check-rounds ARGS="--checks 1000"  as many as the peer has: what the product costs in any case weighs more
    make bench-check-rounds ARGS=--kuma           with Uptime Kuma as a second peer, fetched from npm the first time

The product's figure counts every process of it (claim, probe, store, evaluate, live, scheduler, PostgreSQL, Redis, web), the
peer's both of its own: it schedules, probes and stores as well. All run at the same time; of more than 1,000 checks the peer
is given 1,000, since a thousand probes a second are more than this machine can do with it. Uptime Kuma begins its monitors one
by one, most of a second apart, so it is given 100 at a twentieth of the interval: as many probes a second as 2,000 would make.
The target's time counts for nobody.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from typing import Any, Protocol

from bench._kuma import VERSION, kuma_watching
from bench._peers import prometheus_scraping
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


PEERS_CHECKS, KUMAS_CHECKS, KUMAS_HASTE = 1_000, 100, 20
PROMETHEUS, KUMA = "Prometheus and blackbox_exporter", f"Uptime Kuma {VERSION} and MariaDB"
AT_MOST, PARTS_OF_PEERS = 0.4, {PROMETHEUS: 1 / 6, KUMA: 1 / 14}


class Peer(Protocol):
    """What is measured beside the product."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Return its processes."""

    def probes(self) -> int:
        """Return how many probes it has made so far."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=20_000)
    options.add_argument("--interval", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--kuma", action="store_true")
    chosen = options.parse_args()
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with nginx_target() as target, running_product() as product, ExitStack() as stack:
        targets = [f"{target}/{number}" for number in range(min(chosen.checks, PEERS_CHECKS))]
        found: dict[str, Peer | None] = {}
        if chosen.kuma:
            watching = kuma_watching(targets[:KUMAS_CHECKS], max(chosen.interval // KUMAS_HASTE, 1))
            found[KUMA] = stack.enter_context(watching)
        product.python(SETUP.format(interval=chosen.interval, checks=chosen.checks, target=target))
        found[PROMETHEUS] = stack.enter_context(prometheus_scraping(targets, chosen.interval))
        peers = {name: peer for name, peer in found.items() if peer}
        time.sleep(10 + 2 * chosen.interval)
        _await_calm(product)
        for number in range(chosen.rounds):
            mine, costs = _round(product, peers, chosen.interval)
            ours.append(mine)
            theirs.append(costs)
            shown = "".join(f"  {name} {cost:.3f}" for name, cost in costs.items())
            print(f"round {number + 1}  product {sum(mine.values()):.3f}{shown}", flush=True)
        lateness = _lateness(product)
    return _report(ours, theirs, lateness)


def _await_calm(product: Product) -> None:
    """Let the first results' flips be worked off: they come once, not per check."""
    with product.database() as database:
        while (database.execute("SELECT count(*) FROM events_outboxrow").fetchone() or (0,))[0]:
            time.sleep(1)


def _round(product: Product, peers: dict[str, Peer], seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU-seconds per 1,000 probes of each part of the product, and of each peer, in the same time."""
    with product.database() as database:
        mine, theirs = product.cpu_seconds(), {name: _cost(peer) for name, peer in peers.items()}
        stored = -_stored(database)
        time.sleep(seconds)
        stored += _stored(database)
        mine_then, theirs_then = product.cpu_seconds(), {name: _cost(peer) for name, peer in peers.items()}
    parts = {name: (mine_then[name] - mine[name]) * 1_000 / max(stored, 1) for name in PARTS if name in mine}
    costs = {
        name: (used - theirs[name][0]) * 1_000 / max(probes - theirs[name][1], 1)
        for name, (used, probes) in theirs_then.items()
    }
    return parts, costs


def _stored(database: Any) -> int:
    return int(database.execute("SELECT count(*) FROM checks_result").fetchone()[0])


def _cost(peer: Peer) -> tuple[float, int]:
    """Return what the peer has used and done so far."""
    return sum(map(_process_seconds, peer.pids)), peer.probes()


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


def _report(ours: list[dict[str, float]], theirs: list[dict[str, float]], lateness: tuple[float, float]) -> int:
    totals = [sum(entry.values()) for entry in ours]
    whole = statistics.median(totals)
    print("\nCPU-seconds per 1,000 checks, median by part:")
    for name in PARTS:
        print(f"  {name:<11} {statistics.median(entry.get(name, 0.0) for entry in ours):.3f}")
    print(f"  whole       {whole:.3f}   (min {min(totals):.3f}, max {max(totals):.3f})")
    print(f"started late: median {lateness[0]:.0f} ms, p99 {lateness[1]:.0f} ms")
    is_reached = whole <= AT_MOST
    for name in theirs[0]:
        costs = [entry[name] for entry in theirs]
        ratio, limit = whole / statistics.median(costs), PARTS_OF_PEERS[name]
        print(f"{name}: {statistics.median(costs):.3f}   (min {min(costs):.3f}, max {max(costs):.3f})")
        print(f"  ratio: {ratio:.3f} (at most {limit:.3f})")
        is_reached = is_reached and ratio <= limit
    print("reached" if is_reached else "MISSED")
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
