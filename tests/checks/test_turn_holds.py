"""People who change checks while a prober stores results of theirs: one waits for the other, and neither is thrown out."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connections, transaction

from apps.checks.domain.checks import Timing, delete_check, pause_check, update_check
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result
from tests.rivals import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def storing_meanwhile(check: Check) -> Iterator[None]:
    """Store a failure that takes the check down; its flip is written only when the block waits for its turn."""
    has_turn, result = threading.Event(), make_result(check, Verdict.FAILURE)

    def store() -> None:
        try:
            with system_scope("a prober's batch holds results of many tenants"), transaction.atomic():
                Turn.unscoped.filter(watched=check).update(last_ms=1)
                has_turn.set()
                until_somebody_waits()
                store_results([result])
        finally:
            has_turn.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(store)
        assert has_turn.wait(30)
        yield
        done.result(timeout=60)


def rename(check: Check) -> None:
    update_check(
        check, name="Shop, renamed", config=config_of(check), timing=Timing(interval_seconds=30, retries=0), tags=[]
    )


@pytest.mark.parametrize(
    ("change", "flips", "state"),
    [
        (rename, [State.DOWN], [State.DOWN]),
        (pause_check, [State.DOWN, State.PAUSED], [State.PAUSED]),
        (delete_check, [], []),
    ],
)
def test_a_change_waits_for_the_result_that_is_being_stored(
    acme: Tenant, change: Callable[[Check], None], flips: list[State], state: list[State]
) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop", retries=0, state=State.UP)

    with tenant_scope(acme.id), storing_meanwhile(check):
        change(check)

    with tenant_scope(acme.id):
        assert list(Flip.objects.order_by("sequence").values_list("after", flat=True)) == flips
        assert list(CheckState.objects.values_list("state", flat=True)) == state
