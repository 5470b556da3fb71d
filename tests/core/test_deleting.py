"""Deleting rows while others add to what goes with them."""

import threading
from typing import Any

import pytest
from django.db import connection

from apps.checks.domain.checks import create_check
from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.pings import NewPing, PingStore
from apps.checks.models import Check, Flip, Heartbeat, Ping
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.postgres.deleting import delete_whole
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db(transaction=True)


def add_flip(tenant: Tenant, check: Check) -> None:
    try:
        with tenant_scope(tenant.id):
            Flip.objects.create(watched=check, at=clock.now(), before="up", after="down")
    finally:
        connection.close()


def test_what_a_rival_adds_between_look_and_deletion_goes_too(acme: Tenant) -> None:
    rivals: list[threading.Thread] = []
    with tenant_scope(acme.id):
        check = make_check()

    def with_a_rival(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith('DELETE FROM "checks_check"') and not rivals:  # its flips have been deleted by now
            rivals.append(threading.Thread(target=add_flip, args=[acme, check]))
            rivals[0].start()
            rivals[0].join()
        return execute(sql, params, many, context)

    with tenant_scope(acme.id), connection.execute_wrapper(with_a_rival):
        delete_whole(Check.objects.filter(id=check.id))
        left = Check.objects.count(), Flip.objects.count()

    assert left == (0, 0)
    assert len(rivals) == 1


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
