"""Twenty thousand checks of one customer change at once: how long until all of it is worked off, and does another's page wait?

    make bench-event-storm                          they come up, as after an import or a prober's return
    make bench-event-storm ARGS="--state down"      they fail: each is an outage, an alert and a message

Meanwhile checks of another customer fail, one a second: counted is the time from the commit of the failure to that of its
planned message.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from typing import Any

import psycopg

from bench._product import Product, running_product
from bench._servers import SlackSink

VICTIMS = 40
LIMIT_SECONDS = 30.0
PAGE_LIMIT_SECONDS = 1.0

PREPARE = """
from django.db import transaction
from apps.accounts.models import User
from apps.checks.models import Check, CheckState
from apps.core.tenancy import tenant_scope
from apps.notifications.models import Channel
from apps.notifications.domain.channels import Draft, create_channel
from apps.notifications.channels.registry import CHANNEL_TYPES
from apps.core.kinds import parse_config
from apps.tenants.domain.tenants import create_tenant
from apps.tenants.models import Tenant
def fill(tenant, count):
    with tenant_scope(tenant.id), transaction.atomic():
        config = parse_config(CHANNEL_TYPES.get("slack").Config, {{"url": "{sink}"}})
        Channel.objects.update(is_default=False)
        create_channel(kind="slack", draft=Draft(name="Sink", config=config, is_default=True))
        made = [Check(name=f"c{{n}}", kind="http", config={{"url": "http://127.0.0.1:9/"}}, target="x") for n in range(count)]
        Check.objects.bulk_create(made, batch_size=1_000)
        CheckState.objects.bulk_create([CheckState(watched=check, state="{before}") for check in made], batch_size=1_000)
user = User.objects.order_by("id").first()
fill(Tenant.objects.order_by("created_at").first(), {checks})
fill(create_tenant(name="Other", owner=user), {victims})
"""

STORM = """
import time
from django.db import transaction
from apps.checks.domain.flips import Change, flip, lock_states, record_flips
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
with tenant_scope(Tenant.objects.order_by("created_at").first().id):
    ids = list(Check.objects.filter(name__startswith="c").values_list("id", flat=True))
    began = time.monotonic()
    for start in range(0, len(ids), 500):
        with transaction.atomic():
            states = lock_states(ids[start:start + 500])
            change = Change(after="{after}", at=clock.now(), error_code="{code}")
            record_flips([(row, flip(row, change)) for row in states.values()])
print(time.monotonic() - began)
"""

FAILURE = """
import sys, time
from apps.checks.domain.flips import Change, change_state
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
with tenant_scope(Tenant.objects.get(name="Other").id):
    for check_id in Check.objects.order_by("id").values_list("id", flat=True):
        change_state(check_id, Change(after="down", at=clock.now(), error_code="connect_refused"))
        print(check_id, time.time())
        sys.stdout.flush()
        time.sleep(1)
"""
LEFT = "SELECT count(*) FROM events_outboxrow"
PLANNED = """
SELECT alert.check_id::text, extract(epoch FROM delivery.created_at)::float8
FROM alerting_alert AS alert JOIN notifications_delivery AS delivery ON delivery.subject_id = alert.id
JOIN tenants_tenant AS tenant ON tenant.id = alert.tenant_id WHERE tenant.name = 'Other'
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=20_000)
    options.add_argument("--state", choices=("up", "down"), default="up")
    chosen = options.parse_args()
    code = "connect_refused" if chosen.state == "down" else ""
    with SlackSink() as sink, running_product(EXAMPLE_SERVICE="0") as product, product.database() as database:
        product.python(PREPARE.format(checks=chosen.checks, victims=VICTIMS, before="new", sink=sink.url))
        _await_empty(database)
        failures: list[str] = []
        victim = threading.Thread(target=lambda: failures.append(product.python(FAILURE)))
        victim.start()
        before = product.cpu_seconds()
        told, left, took = _storm(product, database, STORM.format(after=chosen.state, code=code))
        after = product.cpu_seconds()
        victim.join()
        _await_empty(database)
        waits = _waits(database, failures[0])
    cost = {name: after[name] - before[name] for name in ("events", "deliveries", "postgres") if name in before}
    print(
        f"{chosen.checks} checks {chosen.state}: told in {told:.1f} s, {left} rows left then, all worked off after {took:.1f} s"
    )
    print("CPU-seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in cost.items()))
    print(f"another's page: median {statistics.median(waits):.3f} s, worst {max(waits):.3f} s of {len(waits)}")
    return 0 if took < LIMIT_SECONDS and max(waits) < PAGE_LIMIT_SECONDS and len(waits) == VICTIMS else 1


def _storm(product: Product, database: psycopg.Connection[tuple[Any, ...]], code: str) -> tuple[float, int, float]:
    """Return how long telling took, what was left to do then, and when all was done, counted from its beginning."""
    told = float(product.python(code))
    ended_at = time.monotonic()
    (left,) = database.execute(LEFT).fetchone() or (0,)
    _await_empty(database)
    return told, int(left), told + time.monotonic() - ended_at


def _await_empty(database: psycopg.Connection[tuple[Any, ...]]) -> None:
    while (database.execute("SELECT count(*) FROM events_outboxrow WHERE attempts < 2").fetchone() or (0,))[0] > 3:
        time.sleep(0.1)


def _waits(database: psycopg.Connection[tuple[Any, ...]], failures: str) -> list[float]:
    planned: dict[str, float] = {str(row[0]): float(row[1]) for row in database.execute(PLANNED).fetchall()}
    at = (line.split() for line in failures.splitlines())
    return [planned[check_id] - float(failed_at) for check_id, failed_at in at if check_id in planned]


if __name__ == "__main__":
    sys.exit(main())
