"""The 90-day bars of a thousand checks, read from rollups, against computing such bars from the results themselves.

    make bench-uptime-bars                        1,000 checks
    make bench-uptime-bars ARGS="--checks 5000"

Both sides run warm in the same minutes, in the product's own database, as the role that the product connects as, with one
tenant open. Results are kept in daily partitions that begin today, so the comparison takes the eight days that there are:
the same results, once as they are and once rolled up. The bars of 90 days have no such limit.
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
from apps.checks.models import Check
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
tenant = Tenant.objects.order_by("created_at").first()
with tenant_scope(tenant.id):
    Check.objects.bulk_create(
        [Check(id=uuid7(), name=f"bench {{n}}", kind="http", config={{}}, target="x") for n in range({checks})]
    )
# Day after day, as the job writes them: a check's days lie far apart.
DAYS = '''
INSERT INTO checks_dayrollup (tenant_id, check_id, region_id, at, failed, good, slow, unmeasured, timed, sum_ms, min_ms, max_ms,
                              phase_sums, phase_counts, buckets, bucket_counts)
SELECT tenant_id, id, 1, %s, (random() * 3)::int, 1437, 3, 0, 1440, 1440 * 42, 10, 900, '{{1,2,3,4,5}}', '{{1,1,1,1,1}}',
       '{{13,14,15,20,21}}', '{{700,600,100,30,10}}'
FROM checks_check WHERE name LIKE 'bench %%'
'''
RESULTS = '''
INSERT INTO checks_result (tenant_id, check_id, region_id, due_at, started_at, verdict, total_ms, error_code)
SELECT tenant_id, id, 1, at, at, CASE WHEN random() < 0.001 THEN 0 ELSE 1 END, 42, ''
FROM checks_check CROSS JOIN generate_series(%s::timestamptz, %s::timestamptz - interval '1 second', %s::interval) AS at
WHERE name LIKE 'bench %%'
'''
today = day_of(clock.now())
with system_scope("a benchmark makes up rollups"), transaction.atomic(), connection.cursor() as cursor:
    for back in reversed(range(90)):
        cursor.execute(DAYS, [today - timedelta(days=back)])
    for ahead in range({days}):
        day = today + timedelta(days=ahead)
        cursor.execute(RESULTS, [day, day + timedelta(days=1), "{seconds} seconds"])
"""
ANALYZE = "VACUUM ANALYZE checks_dayrollup; ANALYZE checks_result"
MEASURE = """
import json, time
from django.db import connection, transaction
from apps.checks.domain.rollups import BARS, daily_bars, day_of
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
def took(work):
    start, cpu = time.perf_counter(), time.process_time(); work()
    return (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000
def read(statement, given):
    with connection.cursor() as cursor:
        cursor.execute(statement, given); return cursor.fetchall()
with tenant_scope(tenant.id), transaction.atomic():
    ids = list(Check.objects.filter(name__startswith="bench ").values_list("id", flat=True))
    today = day_of(clock.now())
    lasts = {{"check_ids": ids, "first": today - timedelta(days={days} - 1), "until": today + timedelta(days=1)}}
    raw = {{"check_ids": ids, "first": today}}
    sides = {{"bars": lambda: daily_bars(ids), "rolled": lambda: read(BARS, lasts), "raw": lambda: read(RAW, raw)}}
    for work in sides.values():
        work()
    print(json.dumps({{name: [took(work) for _ in range({rounds})] for name, work in sides.items()}}))
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=1_000)
    options.add_argument("--seconds", type=int, default=300, help="between two results of a check")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    days = 8
    with running_product() as product:
        product.python(SETUP.format(checks=chosen.checks, days=days, seconds=chosen.seconds))
        _tidy(product.environment["DATABASE_OWNER_URL"])
        answer = json.loads(product.python(MEASURE.format(days=days, rounds=chosen.rounds)))
    walls = {name: [wall for wall, _cpu in rounds] for name, rounds in answer.items()}
    bars, rolled, raw = (statistics.median(walls[name]) for name in ("bars", "rolled", "raw"))
    own = statistics.median(cpu for _wall, cpu in answer["bars"])
    print(f"90-day bars of {chosen.checks} checks from rollups: {bars:.0f} ms, {own:.0f} of them our CPU; bound 100 ms")
    print(f"all rounds: {_list(walls['bars'])}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        f"{days} days, a result every {chosen.seconds} s: rollups {rolled:.0f} ms, results {raw:.0f} ms: ratio {raw / rolled:.0f}"
    )
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
