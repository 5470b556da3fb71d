"""CPU-seconds per 1,000 checks of applying a configuration document, against making the same checks one by one.

    make bench-apply-checks                         2,000 checks
    make bench-apply-checks ARGS="--checks 20000"   in documents of 2,000

Both are counted whole, the process and its PostgreSQL backend: reading the settings, sealing what is secret, the rows,
their first turns; not what probes them meanwhile. One by one is what a program does that calls `create_check` for each,
without the requests around it.
"""

from __future__ import annotations

import argparse
import json
import sys

from bench._product import Product, running_product

PORTION = 2_000
ROUND = """
import json, os, time
from pathlib import Path
from apps.checks.domain.applying import apply_document
from apps.checks.domain.checks import Timing, create_check
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from django.db import connection

def entry(place, name):
    config = {"url": f"https://shop.example/{place}", "headers": {"Authorization": f"Bearer {place}"}}
    return {"key": f"k{place}", "name": f"{name} {place}", "kind": "http", "config": config}

def documents(name):
    places = range(CHECKS)
    for start in places[::PORTION]:
        checks = [entry(place, name) for place in places[start:start + PORTION]]
        yield {"apiVersion": "obsera/v1", "managedBy": f"bench-{start}", "checks": checks}

def apply(name):
    for document in documents(name):
        apply_document(document)

def prune():
    for document in documents("again"):
        label = document["managedBy"]
        apply_document({**document, "checks": []}, prune_label=label)

def one_by_one():
    for place in range(min(CHECKS, PORTION)):
        given = entry(place, "single")
        config = parse_config(CHECK_TYPES.get("http").Config, given["config"])
        create_check(name=given["name"], kind="http", config=config, timing=Timing(), key=f"single-{place}")

WORK = {
    "create": lambda: apply("first"),
    "nothing to do": lambda: apply("first"),
    "change": lambda: apply("again"),
    "prune": prune,
    "one by one": one_by_one,
}
with tenant_scope(Tenant.objects.order_by("created_at").first().id):
    wall, cpu = time.monotonic(), time.process_time()
    WORK[WHAT]()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = Path(f"/proc/{cursor.fetchone()[0]}/stat").read_text().rpartition(")")[2].split()
    at_postgres = (int(backend[11]) + int(backend[12])) / os.sysconf("SC_CLK_TCK")
    print(json.dumps([time.monotonic() - wall, time.process_time() - cpu + at_postgres]))
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=2_000)
    count: int = options.parse_args().checks
    found: dict[str, float] = {}
    with running_product() as product:
        for what in ("create", "nothing to do", "change", "prune", "one by one"):
            done = min(count, PORTION) if what == "one by one" else count
            wall, cpu = _measured(product, what, count)
            found[what] = cpu * 1_000 / done
            print(f"{what:>14}  {wall:6.2f} s for {done}  {found[what]:.3f} CPU-s per 1,000", flush=True)
    print(f"one by one / create: {found['one by one'] / found['create']:.1f}")
    return 0


def _measured(product: Product, what: str, count: int) -> tuple[float, float]:
    """Return seconds by the clock and of CPU that a piece of work took."""
    wall, cpu = json.loads(product.python(f"CHECKS, PORTION, WHAT = {count}, {PORTION}, {what!r}\n" + ROUND))
    return wall, cpu


if __name__ == "__main__":
    sys.exit(main())
