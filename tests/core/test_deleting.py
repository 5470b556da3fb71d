"""Deleting rows while others add to what goes with them."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections

from apps.checks.domain.checks import create_check
from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.pings import NewPing, PingStore
from apps.checks.enums import State
from apps.checks.models import Check, Flip, Heartbeat, Ping
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.postgres.deleting import delete_whole
from apps.core.tenancy import tenant_scope
from apps.incidents.enums import EntryKind
from apps.incidents.models import Outage, OutageEntry
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage
from tests.rivals import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


def add_flip(tenant: Tenant, check: Check) -> None:
    try:
        with tenant_scope(tenant.id):
            Flip.objects.create(watched=check, at=clock.now(), before="up", after="down")
    finally:
        connections.close_all()


def test_what_a_rival_adds_between_look_and_deletion_is_refused(acme: Tenant) -> None:
    rivals: list[Future[None]] = []
    with tenant_scope(acme.id):
        check = make_check()

    def with_a_rival(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith('DELETE FROM "checks_check"') and not rivals:  # its flips have been deleted by now
            rivals.append(pool.submit(add_flip, acme, check))
            until_somebody_waits()
        return execute(sql, params, many, context)

    with ThreadPoolExecutor(1) as pool:
        with tenant_scope(acme.id), connection.execute_wrapper(with_a_rival):
            delete_whole(Check.objects.filter(id=check.id))
        with pytest.raises(IntegrityError):
            rivals[0].result()

    with tenant_scope(acme.id):
        assert (Check.objects.count(), Flip.objects.count()) == (0, 0)


def test_what_hangs_on_something_below_is_refused_too(acme: Tenant) -> None:
    """An outage's entries refer to the outage alone."""
    with tenant_scope(acme.id):
        check = make_check(state=State.DOWN)
        outage = make_outage(check)
        OutageEntry.objects.create(outage=outage, kind=EntryKind.NOTE)
    rivals: list[Future[None]] = []

    def add_entry() -> None:
        try:
            with tenant_scope(acme.id):
                OutageEntry.objects.create(outage=outage, kind=EntryKind.NOTE)
        finally:
            connections.close_all()

    def with_a_rival(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith('DELETE FROM "incidents_outage"') and not rivals:
            rivals.append(pool.submit(add_entry))
            until_somebody_waits()
        return execute(sql, params, many, context)

    with ThreadPoolExecutor(1) as pool:
        with tenant_scope(acme.id), connection.execute_wrapper(with_a_rival):
            delete_whole(Check.objects.filter(id=check.id))
        with pytest.raises(IntegrityError):
            rivals[0].result()

    with tenant_scope(acme.id):
        assert (Outage.objects.count(), OutageEntry.objects.count()) == (0, 0)


def add_ping(token: str) -> None:
    try:
        PingStore().store([NewPing(address=token, report=Report(signal=Signal.SUCCESS, at=clock.now()))])
    finally:
        connection.close()


def test_pings_that_come_in_while_their_heartbeat_is_deleted_go_too(acme: Tenant) -> None:
    """No foreign key holds them."""
    rivals: list[threading.Thread] = []
    with tenant_scope(acme.id):
        other, check = (create_check(name=name, kind="heartbeat", config=HeartbeatConfig()) for name in ("one", "two"))
        tokens = [Heartbeat.objects.get(watched=one).token for one in (other, check)]
    for token in tokens:
        add_ping(token)

    def with_a_rival(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith('DELETE FROM "checks_heartbeat"') and not rivals:
            rivals.append(threading.Thread(target=add_ping, args=[tokens[1]]))
            rivals[0].start()
            rivals[0].join()
        return execute(sql, params, many, context)

    with tenant_scope(acme.id), connection.execute_wrapper(with_a_rival):
        delete_whole(Check.objects.filter(id=check.id))
        left = list(Ping.objects.values_list("watched_id", flat=True))

    assert left == [other.id]
    assert len(rivals) == 1
