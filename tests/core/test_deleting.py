"""Deleting rows while others add to what goes with them."""

import threading
from typing import Any

import pytest
from django.db import connection

from apps.checks.models import Check, Flip
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
