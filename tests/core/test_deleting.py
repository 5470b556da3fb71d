"""Deleting rows while others add to what goes with them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
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


def refuses(tenant: Tenant, check: Check, *, at: str, rival: Callable[[], object]) -> None:
    """Delete the check; when a statement begins like this one, a rival commits what it must not."""
    rivals: list[Future[None]] = []

    def commit() -> None:
        try:
            with tenant_scope(tenant.id):
                rival()
        finally:
            connections.close_all()

    def with_a_rival(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith(at) and not rivals:
            rivals.append(pool.submit(commit))
            until_somebody_waits()
        return execute(sql, params, many, context)

    with ThreadPoolExecutor(1) as pool:
        with tenant_scope(tenant.id), connection.execute_wrapper(with_a_rival):
            delete_whole(Check.objects.filter(id=check.id))
        with pytest.raises(IntegrityError):
            rivals[0].result()


def test_what_a_rival_adds_between_look_and_deletion_is_refused(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check()

    def add_flip() -> None:
        Flip.objects.create(watched=check, at=clock.now(), before="up", after="down")

    refuses(acme, check, at='DELETE FROM "checks_check"', rival=add_flip)  # its flips have been deleted by then

    with tenant_scope(acme.id):
        assert (Check.objects.count(), Flip.objects.count()) == (0, 0)


def test_what_hangs_on_something_below_is_refused_too(acme: Tenant) -> None:
    """An outage's entries refer to the outage alone."""
    with tenant_scope(acme.id):
        check = make_check(state=State.DOWN)
        outage = make_outage(check)
        add_entry = partial(OutageEntry.objects.create, outage=outage, kind=EntryKind.NOTE)
        add_entry()

    refuses(acme, check, at='DELETE FROM "incidents_outage"', rival=add_entry)

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
