"""CPU-seconds per 1,000 HTTP checks through the whole product, against prometheus-blackbox-exporter doing the same probes.

    make bench-check-rounds                        five rounds of 1,000 checks at 20 s
    make bench-check-rounds ARGS="--checks 20000"  a thousand a second

The product's figure counts every process of it (claim, probe, store, evaluate, live, scheduler, PostgreSQL, Redis, web). The
peer's counts the exporter alone: it neither schedules nor stores. The target is one small server whose time counts for nobody.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

from bench._peers import blackbox_exporter
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


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=1_000)
    options.add_argument("--interval", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    ours: list[dict[str, float]] = []
    theirs: list[float] = []
    with nginx_target() as target, running_product() as product, blackbox_exporter() as peer:
        product.python(SETUP.format(interval=chosen.interval, checks=chosen.checks, target=target))
        time.sleep(10 + chosen.interval)
        _await_calm(product)
        for number in range(chosen.rounds):
            ours.append(_our_round(product, chosen.interval))
            if peer:
                theirs.append(_their_round(*peer, target, min(chosen.checks, 1_000)))
            total = sum(ours[-1].values())
            print(
                f"round {number + 1}  product {total:.3f}" + (f"  blackbox {theirs[-1]:.3f}" if theirs else ""),
                flush=True,
            )
        lateness = _lateness(product)
    _report(ours, theirs, lateness)
    return 0


def _await_calm(product: Product) -> None:
    """Let the first results' flips be worked off: they come once, not per check."""
    with product.database() as database:
        while (database.execute("SELECT count(*) FROM events_outboxrow").fetchone() or (0,))[0]:
            time.sleep(1)


def _our_round(product: Product, seconds: float) -> dict[str, float]:
    """Return each part's CPU-seconds per 1,000 results stored meanwhile."""
    with product.database() as database:
        before, at = product.cpu_seconds(), database.execute("SELECT count(*) FROM checks_result").fetchone()
        time.sleep(seconds)
        after, then = product.cpu_seconds(), database.execute("SELECT count(*) FROM checks_result").fetchone()
    stored = int(then[0]) - int(at[0])  # type: ignore[index]
    return {name: (after[name] - before[name]) * 1_000 / max(stored, 1) for name in PARTS if name in before}


def _their_round(probe: str, pid: int, target: str, checks: int) -> float:
    address = urlsplit(probe)
    paths = [f"{address.path}?{address.query}{quote(f'{target}/{number}', safe='')}" for number in range(checks)]
    before = _process_seconds(pid)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda share: _ask(address.netloc, share), [paths[start::8] for start in range(8)]))
    if sum(answers) != checks:
        raise SystemExit(f"only {sum(answers)} of {checks} probes of the exporter succeeded")
    return (_process_seconds(pid) - before) * 1_000 / checks


def _ask(netloc: str, paths: list[str]) -> int:
    connection, good = http.client.HTTPConnection(netloc, timeout=30), 0
    for path in paths:
        connection.request("GET", path)
        good += b"probe_success 1" in connection.getresponse().read()
    connection.close()
    return good


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


def _report(ours: list[dict[str, float]], theirs: list[float], lateness: tuple[float, float]) -> None:
    totals = [sum(entry.values()) for entry in ours]
    print("\nCPU-seconds per 1,000 checks, median by part:")
    for name in PARTS:
        print(f"  {name:<11} {statistics.median(entry.get(name, 0.0) for entry in ours):.3f}")
    print(f"  whole       {statistics.median(totals):.3f}   (min {min(totals):.3f}, max {max(totals):.3f})")
    print(f"started late: median {lateness[0]:.0f} ms, p99 {lateness[1]:.0f} ms")
    if theirs:
        print(f"blackbox_exporter, probes alone: {statistics.median(theirs):.3f}")
        print(f"ratio whole product / exporter alone: {statistics.median(totals) / statistics.median(theirs):.2f}")


if __name__ == "__main__":
    sys.exit(main())
