"""A window that names a group covers all that belongs to it."""

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.checks import create_check, delete_check
from apps.checks.domain.settings import keep_config
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, Flip
from apps.checks.types.group import GroupConfig
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.incidents.domain import maintenance_edges
from apps.incidents.domain.maintenance import public_windows_of, running_windows_of, start_now
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.tenants.models import Tenant
from tests.checks.test_groups import make_group
from tests.incidents.test_maintenance import at, flips, go, hand, outages, plan, see, state, well
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
__all__ = ["hand"]


def test_named_group_covers_its_members_and_those_of_groups_within(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    named, keyed, tagged, other = well("API"), well("DB", key="db"), well("Web", tags=["web"]), well("Other")
    beat = create_check(name="Backup", kind="heartbeat", config=HeartbeatConfig(), tags=["web"])
    inner = make_group("Inner", members=["key:db"], tag="web")
    outer = make_group("Outer", members=["API", str(inner.id)])
    covered = [named, keyed, tagged, beat, inner, outer]

    plan(outer, begin=1, hours=2)
    hand.move_to(at(1.5))
    apply_edges()
    during = {state(check) for check in covered}
    hand.move_to(at(3.5))
    apply_edges()

    assert during == {"maintenance"}
    for check in (named, keyed, tagged):
        assert flips(check) == [("maintenance", 1), ("up", 3)]
    assert flips(beat) == [("maintenance", 1), ("unknown", 3)]
    assert flips(other) == []


def test_what_a_member_fails_on_meanwhile_is_no_outage(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    """Neither once it is held, nor before the job has come round."""
    check = well("API")
    group = make_group("Shop", members=["API"])
    plan(group, begin=1, hours=2)

    hand.move_to(at(1.0005))
    go(check, State.DOWN)
    see(check, Verdict.FAILURE)
    before_the_job = state(check), outages()
    apply_edges()
    deliver_pending()
    during = state(group), outages()
    hand.move_to(at(3.001))
    apply_edges()

    assert before_the_job == during == (State.MAINTENANCE, [])
    assert flips(check)[-1] == ("down", 3)


def test_hour_that_begins_on_the_page_of_a_group(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well("API")

    window = start_now(make_group("Shop", members=["API"]), actor=None, time_zone="UTC")

    assert state(check) == "maintenance"
    assert running_windows_of(check.id) == [window]
    assert public_windows_of([check.id]) == {window: [check.id]}


def regrouped(group: Check, *members: str, hours: float) -> None:
    keep_config(group, GroupConfig(members=list(members)))
    group.updated_at = at(hours)
    group.save()


def test_who_joins_a_group_within_the_window_is_held_from_then_on_and_who_goes_is_let_go(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    stays, joins, goes, tagged = well("API"), well("DB"), well("Web"), well("Tagged", tags=["db"])
    inner = make_group("Inner", members=["API", "Web"])
    outer = make_group("Outer", members=["Inner"])
    Check.objects.update(updated_at=at(-24))
    plan(outer, begin=0, hours=4, tags=["db"])

    regrouped(inner, "API", "DB", "Tagged", hours=1)
    hand.move_to(at(1.25))
    apply_edges()

    assert flips(stays) == [("maintenance", 0)]
    assert flips(tagged) == [("maintenance", 0)]
    assert flips(joins) == [("maintenance", 1)]
    assert flips(goes) == [("maintenance", 0), ("up", 1.25)]


def test_group_that_is_deleted_lets_its_members_go(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well("API")
    group = make_group("Shop", members=["API"])
    plan(group, begin=0)
    assert state(check) == "maintenance"

    delete_check(group)
    apply_edges()

    assert flips(check) == [("maintenance", 0), ("up", 0)]


def test_circle_that_tags_have_closed_ends(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well("API", tags=["a"])
    one = make_group("One", tag="a")
    two = make_group("Two", members=["One"])
    Check.objects.filter(id=two.id).update(tags=["a"])

    plan(one, begin=0)

    assert [state(each) for each in (check, one, two)] == ["maintenance"] * 3


def test_groups_of_others_cover_nothing_here(acme: Tenant, globex: Tenant, hand: time_machine.Traveller) -> None:
    with tenant_scope(acme.id):
        mine = well("API")
    with tenant_scope(globex.id):
        theirs = well("API")
        plan(make_group("Shop", members=["API", str(mine.id)]), begin=1)

    hand.move_to(at(1.5))
    apply_edges()

    with tenant_scope(acme.id):
        assert flips(mine) == []
        assert running_windows_of(mine.id) == []
    with tenant_scope(globex.id):
        assert flips(theirs) == [("maintenance", 1)]


def test_group_whose_settings_cannot_be_read_holds_nobody_else_back(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check, other = well("API"), well("DB")
    group = make_group("Shop", members=["API"])
    plan(group, other, begin=1)
    Check.objects.filter(id=group.id).update(secrets="derived.AAAA")

    hand.move_to(at(1.5))
    apply_edges()

    assert (state(check), state(other), state(group)) == ("up", "maintenance", "maintenance")


def test_group_is_never_judged_by_those_of_its_members_that_are_left(
    in_acme: Tenant, hand: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three are well. The one that is not would be all there is while the job brings in, or lets go, one by one."""
    monkeypatch.setattr(maintenance_edges, "BATCH_SIZE", 1)
    one, two, three = well("One"), well("Two"), well("Three")
    group = make_group("Any two", members=["One", "Two", "Three"], rule="quorum", quorum=2)
    go(three, State.DOWN)
    see(three, Verdict.FAILURE)
    plan(group, begin=1)

    for hours in (1.5, 3.5):
        hand.move_to(at(hours))
        apply_edges()

    assert flips(one)[-1] == flips(two)[-1] == ("up", 3)
    own = Flip.objects.filter(watched=group)
    members = Flip.objects.filter(watched__in=[one, two, three]).values_list("sequence", flat=True)
    assert own.get(after="maintenance").sequence < min(members.filter(after="maintenance"))
    assert own.get(before="maintenance").sequence > max(members.filter(before="maintenance"))


# --- Pages ----------------------------------------------------------------------------------------------------------------


def test_list_and_form_count_what_groups_add(client: Client, acme: Tenant, owner: User) -> None:
    client.force_login(owner)
    with tenant_scope(acme.id):
        named = well("API")
        well("DB"), well("Web")
        inner = make_group("Inner", members=["DB", "Web"])
        outer = make_group("Outer", members=["API", "Inner"])
        window = plan(named, outer, begin=1)
    listed = client.get(reverse("incidents:windows", args=[acme.slug])).content.decode()
    edited = client.get(reverse("incidents:window_edit", args=[acme.slug, window.id])).content.decode()
    preview = reverse("incidents:window_preview", args=[acme.slug])
    chosen = client.post(preview, {"checks": [str(inner.id)]}).content.decode()
    everything = client.post(preview, {"checks": [str(inner.id)], "covers_all": "on"}).content.decode()

    assert "Groups add 3 checks." in listed
    assert "Groups add 3 checks." in edited
    assert "A group covers all that belongs to it, groups within it too." in edited
    assert "Groups add 2 checks." in chosen
    assert "Groups add" not in everything


def test_list_takes_as_many_queries_for_three_groups_as_for_one(client: Client, acme: Tenant, owner: User) -> None:
    client.force_login(owner)
    counts = []
    for number in (1, 2, 3):
        with tenant_scope(acme.id):
            well(f"Check {number}")
            plan(make_group(f"Group {number}", members=[f"Check {number}"]), begin=1)
        counts.append(queries_of(lambda: client.get(reverse("incidents:windows", args=[acme.slug]))))

    assert counts[0] == counts[2]
