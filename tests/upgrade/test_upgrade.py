"""From the release before to this one, with data: nothing lost, nothing twice, nothing half done; and back again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.upgrade import release
from tests.upgrade.conftest import PROJECT, Installation, Stored

LOOK = """
import django; django.setup()
import json
from zoneinfo import ZoneInfo
import time_machine
from apps.checks.domain.applying import export_checks
from apps.checks.domain.settings import config_of
from apps.checks.domain.uptime import daily_uptime
from apps.checks.models import Check
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.events.models import OutboxRow
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
with tenant_scope(Tenant.objects.get(slug="acme").id):
    shop, backup = Check.objects.get(name="Shop"), Check.objects.get(name="Backup")
    with time_machine.travel("2025-09-07T00:00Z", tick=False):
        days = daily_uptime([shop.id], zone=ZoneInfo("UTC"), days=7)[shop.id]
    document = export_checks()
    settings = [config_of(shop).url, config_of(backup).filters_body]
drained = deliver_pending()
with tenant_scope(shop.tenant_id):
    outages = Outage.objects.filter(watched=shop).order_by("started_at")
    print(json.dumps({
        "down": [day.down for day in days], "up": [day.up for day in days], "late": sum(day.late for day in days),
        "settings": settings, "failed": drained.failed,
        "windows": [(window["key"], window["name"]) for window in document["maintenance"]],
        "outages": [(outage.state, outage.started_at.isoformat()) for outage in outages],
        "left": [row.is_parked for row in OutboxRow.objects.all()],
    }))
"""
pytestmark = pytest.mark.xdist_group("upgrade")  # one worker pays for the databases
HOUR = 3_600
UPGRADE = ("migrate", "--database", "owner", "--no-input")
INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('checks_ping_by_run')"
AS_A_PING = "LOCK TABLE checks_ping IN ROW EXCLUSIVE MODE NOWAIT"
CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
MAX_SECONDS = 120.0


def as_before(stored: Stored, before: Stored) -> Stored:
    """Return what is stored, without tables and columns that are new."""
    columns = {table: set(rows[0]) for table, rows in before.items() if rows}
    return {
        table: [{name: row[name] for name in row if name in columns.get(table, row)} for row in stored[table]]
        for table in before
    }


def in_order(stored: Stored) -> dict[str, Counter[str]]:
    return {table: Counter(json.dumps(row, sort_keys=True) for row in rows) for table, rows in stored.items()}


def applied(installed: Installation) -> set[tuple[str, str]]:
    with installed.connected("owner") as connection:
        return set(connection.execute("SELECT app, name FROM django_migrations").fetchall())


def test_upgrade_keeps_every_row_as_it_was(left_behind: Installation, upgraded: Installation) -> None:
    before, after = left_behind.read(), upgraded.read()

    written = Counter(table for table, _row in release.rows("acme"))
    assert {table: len(before[table]) for table in written} == written
    assert in_order(as_before(after, before)) == in_order(before)


def test_history_settings_and_what_is_on_its_way_go_on(upgraded: Installation) -> None:
    seen = json.loads(upgraded.run("-c", LOOK).splitlines()[-1])

    assert seen == {
        "down": [0, 0, 2 * HOUR, 0, 0, 16 * HOUR, 0],
        "up": [14 * HOUR, 24 * HOUR, 22 * HOUR, 24 * HOUR, 18 * HOUR, 8 * HOUR, 0],
        "late": 0,
        "settings": ["https://shop.example/health", True],
        "failed": 0,
        "windows": [["patching", "Patching"], ["moving", "Moving"]],
        "outages": [["resolved", "2025-09-03T10:00:00+00:00"], ["open", "2025-09-06T08:00:00+00:00"]],
        "left": [True],
    }


def test_process_of_the_release_before_still_writes_all_that_it_knows(upgraded: Installation) -> None:
    before = upgraded.read()

    upgraded.write(release.rows("globex"))

    written = Counter(table for table, _row in release.rows("globex"))
    after = upgraded.read()
    assert {table: len(after[table]) - len(before[table]) for table in written} == written


def test_schema_goes_back_with_every_row(left_behind: Installation, upgraded: Installation) -> None:
    upgraded.go_back()

    assert applied(upgraded) == applied(left_behind)
    assert in_order(upgraded.read()) == in_order(left_behind.read())


def test_upgrade_killed_in_the_middle_is_finished_by_the_next_start(
    left_behind: Installation, old: Installation
) -> None:
    with old.connected() as reader, reader.transaction():
        reader.execute("LOCK TABLE incidents_maintenancewindow IN ACCESS SHARE MODE")
        upgrade = begin(old)
        await_one_that_waits(old)

        os.kill(upgrade.pid, signal.SIGKILL)
        upgrade.wait()

    half_way = applied(old)
    assert ("incidents", "0003_maintenance") in half_way
    assert ("incidents", "0004_window_keys") not in half_way
    old.upgrade()
    before = left_behind.read()
    assert in_order(as_before(old.read(), before)) == in_order(before)
    assert len(json.loads(old.run("-c", LOOK).splitlines()[-1])["outages"]) == 2


def begin(installed: Installation) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", *UPGRADE]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=PROJECT, env=installed.environment, **quiet)


def await_one_that_waits(installed: Installation) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    with installed.connected("owner") as watcher:
        while watcher.execute(WAITS, [installed.database]).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_pings_come_in_while_their_index_is_built_and_a_build_that_was_cut_off_is_done_anew(
    upgraded: Installation,
) -> None:
    upgraded.run("manage.py", *UPGRADE, "checks", "0015_a_look_after_the_wait")
    with upgraded.connected("owner") as stored, upgraded.connected("owner") as ping:
        with stored.transaction():
            stored.execute(AS_A_PING)
            build = begin(upgraded)
            await_one_that_waits(upgraded)
            with ping.transaction():
                ping.execute(AS_A_PING)  # raises where it would have to wait
            ping.execute(CUT_OFF, [upgraded.database])
            assert build.wait() != 0
        assert stored.execute(INDEX).fetchone() == (False,)

        upgraded.upgrade()

        assert stored.execute(INDEX).fetchone() == (True,)
