"""Groups follow their members."""

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.checks import create_check, delete_check, pause_check, rename_check, resume_check, update_check
from apps.checks.domain.flips import change_state, now_as
from apps.checks.domain.group_members import all_groups, groups_of, members_of
from apps.checks.domain.group_shape import GroupCycle, contents_of
from apps.checks.domain.grouping import follow_flips, regroup_all
from apps.checks.domain.settings import config_of, keep_config
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.checks.types.group import GroupConfig
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.incidents.domain.maintenance import end_now, start_now
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.rivals import at_once, meanwhile

pytestmark = pytest.mark.django_db


def make_group(name: str = "Shop", *, tags: list[str] | None = None, **config: Any) -> Check:
    return create_check(name=name, kind="group", config=GroupConfig(**config), tags=tags)


def become(check: Check, state: State) -> None:
    change_state(check.id, now_as(state))
    deliver_pending()


def state(check: Check) -> str:
    return str(CheckState.objects.get(watched=check).state)


def test_members_are_named_by_name_key_id_or_tag(in_acme: Tenant) -> None:
    by_name, by_key, by_tag = make_check("API"), make_check("DB", key="db-1"), make_check("Web", tags=["web"])
    by_id, other = make_check("Queue"), make_check("Other")

    group = make_group(members=["API", "db-1", str(by_id.id), "nobody"], tag="Web", tags=["web"])

    assert set(members_of(group)) == {by_name, by_key, by_tag, by_id}
    assert other not in members_of(group)
    assert Turn.objects.filter(watched=group).count() == 0


@pytest.mark.parametrize("spelled", [str, lambda check_id: check_id.hex, lambda check_id: str(check_id).upper()])
def test_group_follows_a_member_however_its_id_is_spelled(in_acme: Tenant, spelled: Callable[[UUID], str]) -> None:
    check = make_check("Queue", state=State.UP)
    group = make_group(members=[spelled(check.id)])

    become(check, State.DOWN)

    assert (state(group), groups_of([check])) == ("down", [group])


def test_contents_are_the_members_of_all_groups_within_whoever_asks(in_acme: Tenant) -> None:
    luck = random.Random(7)
    for _round in range(8):
        Check.objects.all().delete()
        names = [f"Check {luck.randint(0, 6)}" for _number in range(10)]
        names[5] = "key:k3"  # no group means it by that
        for number, name in enumerate(names):
            tags = luck.sample(["web", "größe", "db"], luck.randint(0, 2))
            key = luck.choice(["", f"k{number}"])
            if number % 2:
                make_check(name, key=key, tags=tags)
                continue
            texts = [*names, *(f"key:k{other}" for other in range(10)), "k3", "key:k3"]
            ids = [luck.choice([str(one), one.hex.upper()]) for one in Check.objects.values_list("id", flat=True)]
            config = GroupConfig(members=luck.sample([*texts, *ids], 3), tag=luck.choice(["", "", "Web", "Größe"]))
            group = make_check(name, kind="group", key=key, tags=tags)
            keep_config(group, config)
            group.save()
        groups = list(Check.objects.filter(kind="group"))

        found = contents_of([group.id for group in groups])

        assert {group.id: set(found[group.id].check_ids) for group in groups} == {
            group.id: reached(group) - {group.id} for group in groups
        }


def reached(group: Check) -> set[UUID]:
    """Ask each group for its members, one after the other."""
    found, ahead = {group.id}, [group]
    while ahead:
        fresh = [check for check in members_of(ahead.pop()) if check.id not in found]
        found |= {check.id for check in fresh}
        ahead += [check for check in fresh if check.kind == "group"]
    return found


def test_group_follows_each_flip_and_has_outages_of_its_own(in_acme: Tenant) -> None:
    one, two = make_check("One", state=State.UP), make_check("Two", state=State.UP)
    group = make_group(members=["One", "Two"])
    states = [state(group)]

    for check, after in ((one, State.DEGRADED), (two, State.DOWN), (one, State.UP), (two, State.UP)):
        become(check, after)
        states.append(state(group))

    assert states == ["up", "degraded", "down", "down", "up"]
    assert [outage.severity for outage in Outage.objects.filter(watched=group)] == ["down"]
    down = Flip.objects.get(watched=group, after=State.DOWN)
    assert (down.error_code, down.error_values) == ("group_member_down", {"members": "Two"})
    assert down.at == Flip.objects.get(watched=two, after=State.DOWN).at


def test_paused_members_are_left_out_and_of_none_nothing_is_known(in_acme: Tenant) -> None:
    one, two = make_check("One", state=State.DOWN), make_check("Two", state=State.UP)
    group = make_group(tag="none", members=["One", "Two"])
    before = state(group)

    pause_check(one)
    deliver_pending()
    half = state(group)
    pause_check(two)
    deliver_pending()

    assert (before, half, state(group)) == ("down", "up", "unknown")


def test_group_of_groups_follows_too(in_acme: Tenant) -> None:
    check = make_check("One", state=State.UP)
    make_group("Inner", members=["One"])
    outer = make_group("Outer", members=["Inner"])

    become(check, State.DOWN)

    assert state(outer) == "down"


def test_circle_is_refused(in_acme: Tenant) -> None:
    inner = make_group("Inner", members=["Outer"])
    with pytest.raises(GroupCycle, match="Outer → Inner → Outer"):
        make_group("Outer", members=["Inner"])

    make_group("Tagged", tag="x", tags=["y"])
    with pytest.raises(GroupCycle):
        make_group("Other", tag="y", tags=["x"])

    assert {check.name for check in Check.objects.all()} == {"Inner", "Tagged"}
    assert list(members_of(inner)) == []


def test_group_does_not_count_itself(in_acme: Tenant) -> None:
    make_check("Web", state=State.UP, tags=["web"])

    group = make_group(tag="web", tags=["web"])

    assert state(group) == "up"


def test_changed_members_judge_at_once(in_acme: Tenant) -> None:
    make_check("One", state=State.UP)
    make_check("Two", state=State.DOWN)
    group = make_group(members=["One"])

    update_check(group, name="Shop", config=GroupConfig(members=["Two"]), timing=timing(), tags=[])

    assert state(group) == "down"


def timing() -> Any:
    from apps.checks.domain.checks import Timing

    return Timing()


def test_sweep_sees_deleted_members_and_new_tags(in_acme: Tenant) -> None:
    one, two = make_check("One", state=State.DOWN), make_check("Two", state=State.UP)
    group = make_group(members=["One", "Two"])
    delete_check(one)
    first = regroup_all()
    after_delete = state(group)
    tagged = make_group("Tagged", tag="late")
    Check.objects.filter(id=two.id).update(tags=["late"])

    second = regroup_all()

    assert (first, after_delete, second, state(tagged)) == (1, "up", 1, "up")


def test_paused_group_rests_and_looks_again_when_resumed(in_acme: Tenant) -> None:
    check = make_check("One", state=State.UP)
    group = make_group(members=["One"])
    pause_check(group)
    become(check, State.DOWN)
    resting = state(group)

    resume_check(group)

    assert (resting, state(group)) == ("paused", "down")


def test_group_out_of_maintenance_follows_its_members(in_acme: Tenant) -> None:
    check = make_check("One", state=State.UP)
    group = make_group(members=["One"])
    window = start_now(group, actor=None, time_zone="UTC")
    Turn.objects.filter(watched=check).update(opinion=Verdict.FAILURE, failures=1)
    during = state(group)

    end_now(window_id=window.id)
    deliver_pending()

    assert (during, state(group)) == ("maintenance", "down")


def test_other_tenants_checks_are_no_members(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = make_check("One", state=State.DOWN)
    with tenant_scope(acme.id):
        group = make_group(members=["One", str(theirs.id)])

        assert list(members_of(group)) == []
        assert state(group) == "new"


def test_page_refuses_a_circle_at_its_field(client: Client, owner: User, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_group("Inner", members=["Outer"])
    client.force_login(owner)
    given = {"name": "Outer", "config-members": "Inner", "config-rule": "worst", "config-quorum": "1"}
    times = {"interval_seconds": 60, "timeout_seconds": 10, "retries": 1, "retry_interval_seconds": 5}

    page = client.get(reverse("checks:create", args=["acme"]) + "?kind=group")
    names = {name: value for name, value in page.context["form"].initial.items() if value is not None}
    answer = client.post(reverse("checks:create", args=["acme"]) + "?kind=group", {**names, **times, **given})

    sentence = "This would go round in a circle: Outer → Inner → Outer."
    assert (answer.status_code, answer.context["form"].errors) == (422, {"config-members": [sentence]})


@pytest.mark.django_db(transaction=True)
def test_members_that_flip_at_once_leave_the_group_right(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        checks = [make_check(f"Check {number}", state=State.UP, tags=["web"]) for number in range(4)]
        group = make_group(tag="web")
    left = iter(checks)

    def go_down() -> None:
        check = next(left)
        with tenant_scope(acme.id):
            change_state(check.id, now_as(State.DOWN))
        deliver_pending()

    at_once(go_down, workers=4)
    deliver_pending()

    with tenant_scope(acme.id):
        assert state(group) == "down"
        assert Flip.objects.filter(watched=group, after=State.DOWN).count() == 1


@pytest.mark.django_db(transaction=True)
def test_group_that_loses_a_member_while_its_flip_is_told_of_does_not_follow_it(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_check("One", state=State.UP)
        two = make_check("Two", state=State.UP)
        group = make_group(members=["One", "Two"])
        made = change_state(two.id, now_as(State.DOWN))
        assert made

    def let_go() -> None:
        update_check(group, name="Shop", config=GroupConfig(members=["One"]), timing=timing(), tags=[])

    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), let_go):
        follow_flips([made.id])

    with tenant_scope(acme.id):
        assert [one.after for one in Flip.objects.filter(watched=group)] == ["up"]


@pytest.mark.parametrize("count", [1, 4])
def test_members_that_flip_together_are_one_look_at_the_group(in_acme: Tenant, count: int) -> None:
    checks = [make_check(f"Check {number}", state=State.UP) for number in range(count)]
    group = make_group(members=[check.name for check in checks])
    flips = [change_state(check.id, now_as(State.DOWN)) for check in checks]

    with CaptureQueriesContext(connection) as captured:
        follow_flips([made.id for made in flips if made])

    assert state(group) == "down"
    # groups, flips with their checks, the groups' states, these groups as they are by then, the group's members and their
    # flips, the new state, the flip, three of flapping, events
    assert len([one for one in captured if "SAVEPOINT" not in one["sql"]]) == 12


def test_flips_where_there_are_no_groups_cost_one_look(in_acme: Tenant) -> None:
    made = change_state(make_check(state=State.UP).id, now_as(State.DOWN))

    with CaptureQueriesContext(connection) as captured:
        follow_flips([made.id] if made else [])

    assert len(captured) == 1


def test_looking_for_groups_reads_an_index_of_groups_alone(in_acme: Tenant) -> None:
    with connection.cursor() as cursor:
        # Of a few rows the planner would take any index, and which one hangs on the rows that other tests left dead.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")

    plan = all_groups().order_by("id").explain()

    assert "checks_check_groups" in plan


def test_renamed_members_stay_members_whoever_else_bears_the_old_name(in_acme: Tenant) -> None:
    a, b, twin = make_check("A"), make_check("B"), make_check("B")
    group = make_group("All", members=["A", "B", "api"], rule="worst")

    rename_check(b, name="B2")
    rename_check(a, name="Z")

    group.refresh_from_db()
    assert config_of(group).members == ["Z", "B", "B2", "api"]
    assert {check.id for check in members_of(group)} == {a.id, b.id, twin.id}
