"""People who change checks while a prober stores results of theirs: one waits for the other, and neither is thrown out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from apps.checks.domain.checks import Timing, delete_check, pause_check, update_check
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result
from tests.rivals import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def storing_meanwhile(check: Check) -> Iterator[None]:
    """Store a failure that takes the check down; its flip is written only when the block waits for its turn."""
    result = make_result(check, Verdict.FAILURE)

    def take_turn() -> None:
        Turn.unscoped.filter(watched=check).update(last_ms=1)

    with meanwhile(system_scope("as a prober's batch"), take_turn, then=lambda: store_results([result])):
        yield


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
