"""The 90-day bars of a thousand checks, against computing such bars from the results themselves.

    make bench-uptime-bars                        1,000 checks, ten outages each
    make bench-uptime-bars ARGS="--checks 5000"

Both sides run warm in the same minutes, in the product's own database, as the role that the product connects as, with one
tenant open. Results are kept in daily partitions that begin today, so they can be compared for the days that there are; the
bars of 90 days have no such limit. "Summed" adds the percentages of all checks, as a report would.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics

import psycopg

from bench._product import running_product

SETUP = """
from datetime import timedelta
from django.db import connection, transaction
from apps.checks.domain.rollups import day_of
from apps.checks.models import Check, CheckState
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
tenant, long_ago = Tenant.objects.order_by("created_at").first(), clock.now() - timedelta(days=200)
with tenant_scope(tenant.id):
    Check.objects.bulk_create(
        [
            Check(id=uuid7(), name=f"bench {{n}}", kind="http", config={{}}, target="x", created_at=long_ago)
            for n in range({checks})
        ]
    )
    CheckState.objects.bulk_create(
        [CheckState(watched=check, state="up") for check in Check.objects.filter(name__startswith="bench ")]
    )
# Outages of a quarter of an hour, spread over the days and in the order in which they would have come.
FLIPS = '''
INSERT INTO checks_flip (id, tenant_id, check_id, at, before, after, error_code, error_values, noticed_at, sequence, regions)
SELECT gen_random_uuid(), tenant_id, id, at + length, CASE WHEN ends THEN 'down' ELSE 'up' END,
       CASE WHEN ends THEN 'up' ELSE 'down' END, '', '{{}}', at, nextval('checks_flip_sequence'), '{{1}}'
FROM (
    SELECT tenant_id, id, %s::timestamptz + (random() + number) * interval '90 days' / {outages} AS at
    FROM checks_check CROSS JOIN generate_series(0, {outages} - 1) AS number WHERE name LIKE 'bench %%'
) AS each
CROSS JOIN (VALUES (false, interval '0'), (true, interval '15 minutes')) AS edge (ends, length) ORDER BY at + length
'''
RESULTS = '''
INSERT INTO checks_result (tenant_id, check_id, region_id, due_at, started_at, verdict, total_ms, error_code)
SELECT tenant_id, id, 1, at, at, CASE WHEN random() < 0.001 THEN 0 ELSE 1 END, 42, ''
FROM checks_check CROSS JOIN generate_series(%s::timestamptz, %s::timestamptz - interval '1 second', %s::interval) AS at
WHERE name LIKE 'bench %%'
'''
today = day_of(clock.now())
with system_scope("a benchmark makes up a past"), transaction.atomic(), connection.cursor() as cursor:
    cursor.execute(FLIPS, [today - timedelta(days=90)])
    for ahead in range({days}):
        day = today + timedelta(days=ahead)
        cursor.execute(RESULTS, [day, day + timedelta(days=1), "{seconds} seconds"])
"""
ANALYZE = (
    "VACUUM ANALYZE checks_flip; VACUUM ANALYZE checks_check; VACUUM ANALYZE checks_checkstate; ANALYZE checks_result"
)
MEASURE = """
import json, os, time
from django.db import connection, transaction
from zoneinfo import ZoneInfo
from apps.checks.domain.days import uptime_of
from apps.checks.domain.rollups import day_of
from apps.checks.domain.uptime import daily_uptime
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from datetime import timedelta
RAW = '''
SELECT check_id, array_agg(day), array_agg(failed), array_agg(measured) FROM (
    SELECT check_id, due_at::date AS day, count(*) FILTER (WHERE verdict = 0) AS failed, count(*) AS measured
    FROM checks_result WHERE check_id = ANY(%(check_ids)s) AND due_at >= %(first)s AND verdict <> 3 GROUP BY check_id, day
) AS each GROUP BY check_id
'''
tenant = Tenant.objects.order_by("created_at").first()
def used():
    # Our CPU and that of PostgreSQL's process that serves us.
    with open(f"/proc/{{server}}/stat") as stat:
        theirs = sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return time.process_time() + theirs
def took(work):
    start, cpu = time.perf_counter(), used(); work()
    return (time.perf_counter() - start) * 1000, (used() - cpu) * 1000
def read(statement, given):
    with connection.cursor() as cursor:
        cursor.execute(statement, given); return cursor.fetchall()
with tenant_scope(tenant.id), transaction.atomic():
    ids = list(Check.objects.filter(name__startswith="bench ").values_list("id", flat=True))
    today = day_of(clock.now())
    zone, server = ZoneInfo("UTC"), read("SELECT pg_backend_pid()", [])[0][0]
    raw = {{"check_ids": ids, "first": today}}
    sides = {{
        "bars": lambda: daily_uptime(ids, zone=zone),
        "summed": lambda: [uptime_of(days) for days in daily_uptime(ids, zone=zone).values()],
        "raw": lambda: read(RAW, raw),
    }}
    assert sum(uptime.down for uptime in sides["summed"]()) > 0.9 * 900 * {outages} * len(ids)
    for work in sides.values():
        work()
    print(json.dumps({{name: [took(work) for _ in range({rounds})] for name, work in sides.items()}}))
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=1_000)
    options.add_argument("--seconds", type=int, default=300, help="between two results of a check")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--outages", type=int, default=10, help="of each check in 90 days")
    chosen = options.parse_args()
    days = 8
    with running_product() as product:
        given = {"checks": chosen.checks, "days": days, "seconds": chosen.seconds, "outages": chosen.outages}
        product.python(SETUP.format(**given))
        _tidy(product.environment["DATABASE_OWNER_URL"])
        answer = json.loads(product.python(MEASURE.format(rounds=chosen.rounds, outages=chosen.outages)))
    walls = {name: [wall for wall, _cpu in rounds] for name, rounds in answer.items()}
    bars, summed, raw = (statistics.median(walls[name]) for name in ("bars", "summed", "raw"))
    cpu = statistics.mean(cpu for _wall, cpu in answer["bars"])
    print(f"90-day bars of {chosen.checks} checks: {bars:.0f} ms, bound 100 ms; {cpu:.0f} ms of CPU with PostgreSQL's")
    print(
        f"all rounds: {_list(walls['bars'])}; summed {summed:.0f} ms; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    print(f"{days} days from a result every {chosen.seconds} s: {raw:.0f} ms, {raw / bars:.0f} times as long as 90")
    return 0 if bars < 100 or chosen.checks != 1_000 else 1


def _tidy(owner: str) -> None:
    """What autovacuum does within minutes."""
    with psycopg.connect(owner, autocommit=True) as connection:
        for statement in ANALYZE.split("; "):
            connection.execute(statement)


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


if __name__ == "__main__":
    raise SystemExit(main())
