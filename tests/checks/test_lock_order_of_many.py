"""Who changes many checks in several steps locks the turns and states of all of them before the first step: a rival who
holds some of them and wants others waits or is waited for, and the database throws neither out."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from apps.checks.domain.applying import apply_document
from apps.checks.domain.checks import rename_check
from apps.checks.domain.fitting import bring_within_plan
from apps.checks.domain.flips import lock_states
from apps.checks.domain.pacing import hold_turns
from apps.checks.enums import State
from apps.checks.models import Check
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_lock_order import pair
from tests.factories.checks import make_check
from tests.factories.plans import document, give_plan, wanted
from tests.rivals import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


# --- A document -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [hold_turns, lock_states])
@pytest.mark.parametrize(
    ("listed", "left"),
    [
        ({"sooner": {"interval_seconds": 30}}, [("sooner", 30, "up")]),
        (
            {"sooner": {"paused": True}, "later": {"interval_seconds": 30}},
            [("later", 30, "up"), ("sooner", 60, "paused")],
        ),
    ],
    ids=["other is pruned", "one is paused"],
)
def test_a_document_is_applied_while_somebody_has_one_of_its_checks_and_wants_another(
    acme: Tenant,
    hold: Callable[[list[UUID]], object],
    listed: dict[str, dict[str, Any]],
    left: list[tuple[str, int, str]],
) -> None:
    with tenant_scope(acme.id):
        sooner, later = pair()
        Check.objects.update(tags=["managed-by:repo"])
    given = document(*(wanted(key, retries=0, **more) for key, more in listed.items()), managedBy="repo")

    held = meanwhile(tenant_scope(acme.id), partial(hold, [sooner.id]), then=partial(hold, [later.id]))
    with tenant_scope(acme.id), held:
        apply_document(given, prune_label="repo")

    with tenant_scope(acme.id):
        rows = Check.objects.order_by("name").values_list("name", "interval_seconds", "checkstate__state")
        assert list(rows) == left


# --- A smaller plan -------------------------------------------------------------------------------------------------------


def test_checks_are_brought_within_a_plan_while_somebody_has_one_and_wants_another(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        sooner, later = pair()
    give_plan(acme, "free", checks=1, min_interval_seconds=300)

    hold_one, hold_other = partial(hold_turns, [sooner.id]), partial(hold_turns, [later.id])
    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), hold_one, then=hold_other):
        bring_within_plan()

    with tenant_scope(acme.id):
        rows = Check.objects.order_by("name").values_list("name", "interval_seconds", "checkstate__state")
        assert list(rows) == [("later", 300, "up"), ("sooner", 60, "paused")]


def test_what_a_colleague_saves_while_a_check_is_slowed_down_stays(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop", state=State.UP)
    give_plan(acme, "free", min_interval_seconds=300)

    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), lambda: rename_check(check, name="Store")):
        bring_within_plan()

    with tenant_scope(acme.id):
        assert list(Check.objects.values_list("name", "interval_seconds")) == [("Store", 300)]
