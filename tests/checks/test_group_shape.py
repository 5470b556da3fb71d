"""Groups within groups: how many and how deep there may be, and what it costs to look at them."""

from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain import group_shape
from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.checks import change_check, rename_check
from apps.checks.domain.flips import change_state, now_as
from apps.checks.domain.group_shape import GroupCycle, GroupsTooDeep, TooManyGroups, contents_of
from apps.checks.domain.grouping import regroup_all
from apps.checks.enums import State
from apps.checks.models import Check, CheckState
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.tenants.models import Tenant
from tests.checks.test_groups import make_group, state
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.plans import document, give_plan, wanted
from tests.rivals import at_once

pytestmark = pytest.mark.django_db


def nested(count: int, sign: str = "g") -> dict[str, Any]:
    """Return a document in which each group has the next one for a member, and the last one a check."""
    names = [f"{sign}{number}" for number in range(count + 1)]
    groups = [wanted(name, kind="group", config={"members": [within]}) for name, within in pairwise(names)]
    return document(*groups, wanted(names[-1]))


def stored_chain(count: int) -> list[Check]:
    """Make groups within each other as no rule allows it, outermost first; each is called by a tag that is given later."""
    groups = [make_group(f"G{number}", tag=f"in-{number}") for number in range(count)]
    for number, group in enumerate(groups[1:]):
        Check.objects.filter(id=group.id).update(tags=[f"in-{number}"])
    return groups


# --- How deep -------------------------------------------------------------------------------------------------------------


def test_chain_of_groups_has_a_bound_at_either_end_and_between(in_acme: Tenant) -> None:
    apply_document(nested(11))

    with pytest.raises(GroupsTooDeep), transaction.atomic():
        make_group("Above", members=["key:g0"])
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        make_group("g11", tag="web")
    below = Check.objects.get(key="g10")
    make_group("Inner", tag="x", tags=["y"])
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        change_check(below.id, config={"tag": "y"})

    make_group("Beside", members=["key:g1"])
    change_check(below.id, config={"members": ["nobody"]})


def test_two_chains_that_one_group_joins_are_measured_as_one(in_acme: Tenant) -> None:
    upper = make_group("Upper", members=["Joint"])
    for number in range(5):
        upper = make_group(f"Upper {number}", members=[upper.name])
    lower = make_group("Lower", members=["nobody"])
    for number in range(5):
        lower = make_group(f"Lower {number}", members=[lower.name])

    with pytest.raises(GroupsTooDeep), transaction.atomic():
        make_group("Joint", members=[lower.name])

    make_group("Joint", members=["Lower 2"])


def test_deep_groups_of_a_document_are_refused_and_nothing_is_made(in_acme: Tenant) -> None:
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        apply_document(nested(12))

    assert not Check.objects.exists()


def test_api_and_page_name_the_field_of_a_group_that_is_too_deep(client: Client, owner: User, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        apply_document(nested(11))
    client.force_login(owner)
    form = {"name": "Above", "config-members": "key:g0", "config-rule": "worst", "config-quorum": "1"}

    answer = make_api(acme).post("/api/v1/checks/", {"name": "Above", "kind": "group", "config": {"members": ["g0"]}})
    page = client.post(reverse("checks:create", args=["acme"]) + "?kind=group", form)

    sentence = (
        "A chain of groups within groups has at most 10 links: name what is in the inner groups as members instead."
    )
    assert (answer.status_code, answer.json()["errors"]) == (409, {"config": {"members": [sentence]}})
    assert (page.status_code, page.context["form"].errors) == (422, {"config-members": [sentence]})


def test_what_is_stored_deeper_than_that_is_looked_at_all_the_same(in_acme: Tenant) -> None:
    groups = stored_chain(15)
    check = make_check("Check", state=State.DOWN, tags=["in-14"])

    changed = [regroup_all()]
    deliver_pending()

    inside = {group.id for group in groups[1:]} | {check.id}
    assert contents_of([groups[0].id])[groups[0].id].check_ids == inside
    assert (changed, state(groups[0])) == ([1], "down")
    rename_check(groups[3], name="Renamed")


@pytest.mark.parametrize("place", [0, 14, 29])
def test_group_of_a_longer_chain_may_be_saved_and_leave_it_but_not_lengthen_it(in_acme: Tenant, place: int) -> None:
    group = stored_chain(30)[place]

    assert change_check(group.id, config={"rule": "quorum"}, timing={"retries": 2}) == group
    assert change_check(group.id, name="Renamed") == group
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        make_group("Above", members=["Renamed"], tags=[f"in-{place - 1}"])

    assert change_check(group.id, config={"tag": "nobody"}) == group
    assert change_check(group.id, tags=[]) == group


def test_longer_chain_is_made_longer_at_neither_end_nor_between(in_acme: Tenant) -> None:
    groups = stored_chain(30)
    inner = make_group("Inner", tag="nobody", tags=["y"])

    for tags in (["in-29"], ["in-28"]):
        with pytest.raises(GroupsTooDeep), transaction.atomic():
            change_check(inner.id, tags=tags)
    for change in ({"tag": "y"}, {"members": ["Inner"]}):
        with pytest.raises(GroupsTooDeep), transaction.atomic():
            change_check(groups[29].id, config=change)
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        change_check(inner.id, tags=["in-14"], config={"tag": "in-14"})
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        make_group("Above", members=["G0"])


def test_document_that_edits_a_longer_chain_is_applied_where_it_makes_nothing_worse(in_acme: Tenant) -> None:
    stored_chain(30)
    entries = {entry["name"]: entry for entry in export_checks()["checks"]}
    for entry in entries.values():
        entry["config"]["rule"] = "quorum"

    plan = apply_document(document(*entries.values()))

    assert plan.counts["update"] == 30
    entries["G29"]["config"]["tag"] = "x"
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        apply_document(document(*entries.values(), wanted("inner", kind="group", config={"tag": "y"}, tags=["x"])))


def test_name_and_key_that_lengthen_a_chain_are_refused(in_acme: Tenant) -> None:
    stored_chain(11)
    Check.objects.filter(name="G10").update(config={"rule": "worst", "quorum": 1, "members": ["key:wanted", "Wanted"]})
    group = make_group("Inner", tag="nobody")

    with pytest.raises(GroupsTooDeep), transaction.atomic():
        change_check(group.id, name="Wanted")
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        change_check(group.id, key="wanted")


def test_group_of_a_longer_chain_that_is_named_by_its_name_may_be_renamed(in_acme: Tenant) -> None:
    groups = stored_chain(11)
    Check.objects.filter(name="G10").update(config={"rule": "worst", "quorum": 1, "members": ["Inner"]})
    inner = make_check("Inner")
    Check.objects.filter(id=inner.id).update(kind="group", config={"rule": "worst", "quorum": 1, "tag": "nobody"})

    assert change_check(inner.id, name="Renamed") == inner
    assert Check.objects.get(id=groups[10].id).config["members"] == ["Renamed"]


def test_who_is_renamed_and_edited_at_once_is_still_in_the_groups_that_named_it(in_acme: Tenant) -> None:
    apply_document(nested(11))
    outer, inner = make_group("Outer", members=["Inner"]), make_group("Inner", tag="nobody")

    with pytest.raises(GroupCycle, match="Renamed → Outer → Renamed"), transaction.atomic():
        change_check(inner.id, name="Renamed", config={"members": ["Outer"]})
    with pytest.raises(GroupsTooDeep), transaction.atomic():
        change_check(inner.id, name="Renamed", config={"members": ["g1"]})

    assert change_check(outer.id, name="Renamed", config={"members": ["g1"]}) == outer


def test_group_between_circles_that_tags_closed_is_in_none(in_acme: Tenant) -> None:
    for sign in ("upper", "lower"):
        one, other = make_group(f"{sign} one", tag=f"{sign}-1"), make_group(f"{sign} other", tag=f"{sign}-2")
        Check.objects.filter(id=one.id).update(tags=[f"{sign}-2"])
        Check.objects.filter(id=other.id).update(tags=[f"{sign}-1"])
    between = make_group("Between", members=["lower one"], tags=["upper-1"])

    assert change_check(between.id, config={"rule": "quorum"}) == between
    with pytest.raises(GroupCycle, match=r"Between → upper one( → upper other)? → Between"):
        change_check(between.id, config={"members": ["upper one"]})


def test_group_that_leaves_a_circle_is_not_held_to_what_the_chain_becomes(in_acme: Tenant) -> None:
    groups = stored_chain(30)
    Check.objects.filter(id=groups[28].id).update(tags=["in-28", "in-29"])

    with pytest.raises(GroupCycle, match="G29 → G28 → G29"), transaction.atomic():
        change_check(groups[29].id, config={"rule": "quorum"})

    assert change_check(groups[29].id, config={"tag": "nobody"}) == groups[29]


def test_circle_that_tags_closed_is_nobody_elses_fault(in_acme: Tenant) -> None:
    one, other = make_group("One", tag="one"), make_group("Other", tag="other")
    Check.objects.filter(id=one.id).update(tags=["other"])
    Check.objects.filter(id=other.id).update(tags=["one"])

    above, below = make_group("Above", members=["One"]), make_group("Below", tags=["one"], tag="none")

    assert contents_of([above.id])[above.id].check_ids == {one.id, other.id, below.id}
    with pytest.raises(GroupCycle, match="Other → One → Other"):
        change_check(other.id, config={"rule": "quorum"})


# --- How many -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("checks", "most"), [(2, 20), (22, 22), (1_000, 25), (None, 25)])
def test_groups_have_a_bound_that_the_plan_sets(
    in_acme: Tenant, monkeypatch: pytest.MonkeyPatch, checks: int | None, most: int
) -> None:
    monkeypatch.setattr(group_shape, "MAX_GROUPS", 25)
    give_plan(in_acme, "free", checks=checks)
    groups = [wanted(f"g{number}", kind="group", config={"tag": "web"}) for number in range(most)]
    apply_document(document(*groups))

    with pytest.raises(TooManyGroups) as refused, transaction.atomic():
        make_group("One more", tag="web")

    text = f"There may be at most {most} groups. Delete some first, or give those that are there more members."
    assert str(refused.value) == text
    assert Check.objects.count() == most


def test_who_has_more_groups_than_that_may_still_change_them(in_acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    group, _other = make_group("Shop", tag="web"), make_group("Other", tag="web")
    monkeypatch.setattr(group_shape, "MAX_GROUPS", 1)

    assert change_check(group.id, config={"tag": "db"}) == group


@pytest.mark.django_db(transaction=True)
def test_of_rivals_for_the_last_groups_exactly_so_many_pass(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_shape, "MAX_GROUPS", 3)
    refused: list[TooManyGroups] = []

    def make() -> None:
        with tenant_scope(acme.id):
            try:
                make_group(tag="web")
            except TooManyGroups as refusal:
                refused.append(refusal)

    at_once(make, workers=6)

    with tenant_scope(acme.id):
        assert (Check.objects.count(), len(refused)) == (3, 3)


# --- What it costs --------------------------------------------------------------------------------------------------------


def test_any_number_of_groups_is_made_with_the_same_number_of_queries(in_acme: Tenant) -> None:
    apply_document(nested(2))
    counts = []
    for count, sign in ((3, "f"), (9, "m")):
        with CaptureQueriesContext(connection) as captured:
            apply_document(nested(count, sign))
        counts.append(len(captured))

    assert counts[0] == counts[1]


@pytest.mark.parametrize("count", [1, 9])
def test_any_number_of_groups_is_swept_and_looked_into_with_so_many_queries(in_acme: Tenant, count: int) -> None:
    apply_document(nested(count))
    outermost = Check.objects.get(key="g0").id

    with CaptureQueriesContext(connection) as swept:
        regroup_all()
    with CaptureQueriesContext(connection) as looked_into:
        inside = contents_of([outermost])[outermost].check_ids

    assert len(inside) == count
    # whose groups there are; the tenant's groups with their states, their members, and a transaction that has nothing to do
    assert (len(swept), len(looked_into)) == (5, 2)


def test_groups_that_are_looked_at_together_see_what_each_other_became(in_acme: Tenant) -> None:
    check = make_check("Check", state=State.UP)
    inner, outer = make_group("Inner", members=["Check"]), make_group("Outer", members=["Inner"])
    CheckState.objects.filter(watched=check).update(state=State.DOWN)

    changed = regroup_all(), state(inner), state(outer)
    change_state(outer.id, now_as(State.PAUSED))
    again = regroup_all()

    assert changed == (1, "down", "up")  # the outer one follows the inner one's flip
    assert (again, state(outer)) == (0, "paused")
