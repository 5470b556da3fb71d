"""CPU-seconds per 1,000 acknowledged and stored heartbeat pings: the ping door against a plain Django view.

    make bench-heartbeat-pings                          five rounds of 5,000 pings, 64 in flight
    make bench-heartbeat-pings ARGS="--pings 20000"

Each ping is a connection of its own, as curl makes one. Counted are the web process, PostgreSQL and Redis; not the client.
The anchor is the same ping as one Django view with two ORM writes, on the same tables in the same run: Healthchecks itself
cannot be installed from a package. Every acknowledged ping is looked for in the database afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from bench._product import PROJECT, Product, free_port, running_product, tree_seconds

SETUP = """
from apps.checks.domain.checks import create_check
from apps.checks.models import CheckState, Heartbeat
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from django.db import transaction
tenant = Tenant.objects.order_by("created_at").first()
with tenant_scope(tenant.id), transaction.atomic():
    for n in range({heartbeats}):
        create_check(name=f"job {{n}}", kind="heartbeat", config=HeartbeatConfig())
    CheckState.objects.filter(state="new").update(state="up")
    print(tenant.id)
    print("\\n".join(Heartbeat.objects.values_list("token", flat=True)))
"""
PARTS = ("web", "postgres", "redis")


@dataclass(frozen=True)
class Round:
    """What one round cost and how long its pings took."""

    cpu_seconds: dict[str, float]
    acknowledged: int
    delays: list[float]
    seconds: float

    @property
    def cost(self) -> float:
        """CPU-seconds per 1,000 acknowledged pings."""
        return sum(self.cpu_seconds.values()) / self.acknowledged * 1_000 if self.acknowledged else float("inf")


async def send_pings(port: int, tokens: list[str], count: int, in_flight: int) -> tuple[int, list[float]]:
    """Send pings, each over a new connection; return how many were acknowledged, and their delays."""
    delays: list[float] = []
    places = iter(range(count))

    async def sender() -> int:
        acknowledged = 0
        for place in places:
            start = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            target = f"/ping/{tokens[place % len(tokens)]}"
            writer.write(
                f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n".encode()
            )
            answer = await reader.read()
            writer.close()
            acknowledged += answer.startswith(b"HTTP/1.1 200 ")
            delays.append(time.monotonic() - start)
        return acknowledged

    return sum(await asyncio.gather(*(sender() for _ in range(in_flight)))), delays


@contextmanager
def anchor(product: Product, tenant: str) -> Iterator[tuple[int, int]]:
    """Run the plain Django view on the product's database; yields its port and process id."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench._ping_anchor"],
        cwd=PROJECT,
        env={**os.environ, **product.environment, "PORT": str(port), "TENANT": tenant},
    )
    try:
        _await(port)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def _await(port: int) -> None:
    async def is_open() -> bool:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    for _ in range(300):
        if asyncio.run(is_open()):
            return
        time.sleep(0.1)
    raise SystemExit("the anchor does not answer")


def run_round(product: Product, port: int, tokens: list[str], chosen: argparse.Namespace, *, pid: int = 0) -> Round:
    """Send one round to a port; with ``pid`` that process stands for the web part."""

    def usage() -> dict[str, float]:
        parts = product.cpu_seconds()
        return {**{name: parts[name] for name in PARTS}, **({"web": tree_seconds(pid)} if pid else {})}

    before, start = usage(), time.monotonic()
    acknowledged, delays = uvloop.run(send_pings(port, tokens, chosen.pings, chosen.in_flight))
    seconds = time.monotonic() - start
    time.sleep(0.5)
    after = usage()
    return Round({name: after[name] - before[name] for name in PARTS}, acknowledged, delays, seconds)


def show(name: str, number: int, one: Round) -> None:
    parts = "  ".join(f"{part} {seconds / one.acknowledged * 1_000:.3f}" for part, seconds in one.cpu_seconds.items())
    p99 = sorted(one.delays)[int(len(one.delays) * 0.99)] * 1_000
    rate = one.acknowledged / one.seconds
    print(f"round {number}  {name:<7}{one.cost:.3f}  ({parts})  {rate:.0f} a second, p99 {p99:.0f} ms", flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pings", type=int, default=5_000)
    options.add_argument("--heartbeats", type=int, default=1_000)
    options.add_argument("--in-flight", type=int, default=64)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    ours: list[Round] = []
    theirs: list[Round] = []
    with running_product() as product:
        tenant, *tokens = product.python(SETUP.format(heartbeats=chosen.heartbeats)).split()
        with anchor(product, tenant) as (port, pid):
            for number in range(1, chosen.rounds + 1):
                ours.append(run_round(product, product.port, tokens, chosen))
                show("door", number, ours[-1])
                theirs.append(run_round(product, port, tokens, chosen, pid=pid))
                show("django", number, theirs[-1])
        with product.database() as database:
            stored = database.execute("SELECT count(*) FROM checks_ping").fetchone()
    acknowledged = sum(one.acknowledged for one in (*ours, *theirs))
    door, django = (statistics.median(one.cost for one in rounds) for rounds in (ours, theirs))
    print(f"median  door {door:.3f}  django {django:.3f} CPU-seconds per 1,000 pings")
    print(f"ratio door : django = 1 : {django / door:.1f}")
    print(f"acknowledged {acknowledged}, stored {stored[0] if stored else 0}")
    return 0 if stored and stored[0] >= acknowledged else 1


if __name__ == "__main__":
    sys.exit(main())
