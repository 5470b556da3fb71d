"""Which checks depend on which: circles are refused, and who is to blame is found."""

from typing import Any

import pytest
from django.db import IntegrityError, connection
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.domain.checks import delete_check
from apps.checks.domain.dependencies import (
    CheckGone,
    DependencyCycle,
    TooDeep,
    TooManyParents,
    ancestors_of,
    blamed_for,
    circle_in,
    depends_on,
    descendants_of,
    find_cycle,
    needed_by,
    set_parents,
    too_deep,
)
from apps.checks.enums import State
from apps.checks.models import Check, Dependency
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.rivals import at_once

GRAPHS = st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 7)), max_size=8)


@given(graph=GRAPHS, start=st.integers(0, 7))
def test_found_circle_is_one_and_none_is_missed(graph: dict[int, set[int]], start: int) -> None:
    way = find_cycle(graph, start)  # type: ignore[arg-type]

    reached, front = set(), {start}
    while front:
        front = {parent for one in front for parent in graph.get(one, ())} - reached
        reached |= front
    assert bool(way) == (start in reached)
    for here, parent in zip(way, [*way[1:], start], strict=False):
        assert parent in graph[here]


def test_chains_that_are_too_long_are_found_by_their_links() -> None:
    graph: Any = {1: [2, 5], 2: [3], 3: [4], 5: [4]}

    assert too_deep(graph, limit=3) == set()
    assert too_deep(graph, limit=2) == {1}
    assert too_deep({}) == set()


@given(graph=GRAPHS)
def test_circle_anywhere_is_too_deep_and_can_be_named(graph: Any) -> None:
    rest = too_deep(graph, limit=20)  # eight numbers make no chain that long

    way = circle_in(graph, rest) if rest else []

    assert bool(rest) == any(find_cycle(graph, start) for start in range(8))
    assert bool(way) == bool(rest)
    for here, parent in zip(way, [*way[1:], *way[:1]], strict=True):
        assert parent in graph[here]


@pytest.mark.django_db
def test_parents_are_replaced_and_read_from_both_ends(in_acme: Tenant) -> None:
    router, switch, server = (make_check(name) for name in ("Router", "Switch", "Server"))

    set_parents(server, [router, switch])
    set_parents(server, [switch])
    set_parents(server, [switch])

    assert [check.name for check in depends_on(server)] == ["Switch"]
    assert [check.name for check in needed_by(switch)] == ["Server"]
    assert list(needed_by(router)) == []


@pytest.mark.django_db
def test_circle_is_refused_with_its_names(in_acme: Tenant) -> None:
    a, b, c = (make_check(name) for name in "ABC")
    set_parents(a, [b])
    set_parents(b, [c])

    with pytest.raises(DependencyCycle) as refused:
        set_parents(c, [a])

    assert str(refused.value) == "This would go round in a circle: C → A → B → C."
    assert list(depends_on(c)) == []


@pytest.mark.django_db
def test_check_does_not_depend_on_itself(in_acme: Tenant) -> None:
    check = make_check("A")

    with pytest.raises(DependencyCycle, match="A → A"):
        set_parents(check, [check])


@pytest.mark.django_db
def test_chain_and_number_of_parents_have_bounds(in_acme: Tenant) -> None:
    chain = [make_check(f"Link {number:02}") for number in range(12)]
    for child, parent in zip(chain[1:11], chain[:10], strict=True):
        set_parents(child, [parent])

    with pytest.raises(TooDeep):
        set_parents(chain[11], [chain[10]])
    with pytest.raises(TooManyParents):
        set_parents(chain[11], chain[:11])


@pytest.mark.django_db
def test_ancestors_and_descendants_reach_through(in_acme: Tenant) -> None:
    router, switch, server, lone = (make_check(name) for name in ("Router", "Switch", "Server", "Lone"))
    set_parents(switch, [router])
    set_parents(server, [switch])

    found = {check_id: set(parents) for check_id, parents in ancestors_of([server.id, switch.id, lone.id]).items()}

    assert found == {server.id: {router.id, switch.id}, switch.id: {router.id}}
    assert set(descendants_of(router.id)) == {switch.id, server.id}


@pytest.mark.django_db
def test_the_topmost_that_is_down_is_to_blame(in_acme: Tenant) -> None:
    router = make_check("Router", state=State.DOWN)
    switch = make_check("Switch", state=State.DOWN)
    server = make_check("Server", state=State.DOWN)
    well = make_check("Well", state=State.UP)
    set_parents(switch, [router])
    set_parents(server, [switch])
    set_parents(well, [router])

    checks = list(Check.objects.select_related("checkstate"))
    names = {check.id: check.name for check in checks}
    blamed = {names[check_id]: by.name for check_id, by in blamed_for(checks).items()}

    assert blamed == {"Server": "Router", "Switch": "Router"}


@pytest.mark.django_db
@pytest.mark.parametrize("routers", [2, 5])
def test_blame_takes_three_questions_however_many_are_down(
    in_acme: Tenant, routers: int, django_assert_num_queries: Any
) -> None:
    for number in range(routers):
        server = make_check(f"Server {number}", state=State.DOWN)
        set_parents(server, [make_check(f"Router {number}", state=State.DOWN)])
    checks = list(Check.objects.select_related("checkstate"))

    with django_assert_num_queries(3):
        blamed = blamed_for(checks)

    assert len(blamed) == routers


@pytest.mark.django_db
def test_strangers_check_is_no_parent(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = make_check("Theirs")
    with tenant_scope(acme.id):
        mine = make_check("Mine")
        with pytest.raises(CheckGone):
            set_parents(mine, [theirs])
        Dependency.objects.bulk_create([Dependency(child_id=mine.id, parent_id=theirs.id)])
        with pytest.raises(IntegrityError, match="foreign key"), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_close_no_circle(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        a, b = make_check("A"), make_check("B")
    ways = iter([(a, b), (b, a), (a, b), (b, a)])

    def link() -> None:
        child, parent = next(ways)
        with tenant_scope(acme.id):
            try:
                set_parents(child, [parent])
            except DependencyCycle:
                return

    at_once(link, workers=4)

    with tenant_scope(acme.id):
        assert Dependency.objects.count() == 1


@pytest.mark.django_db
def test_check_that_was_deleted_meanwhile_is_refused_with_a_word(in_acme: Tenant) -> None:
    server, router, switch = make_check("Server"), make_check("Router"), make_check("Switch")
    set_parents(server, [switch])
    delete_check(router)

    with pytest.raises(CheckGone):
        set_parents(server, [router])

    assert list(depends_on(server)) == [switch]


@pytest.mark.django_db
def test_circle_through_a_check_that_was_deleted_meanwhile_is_refused_with_a_word(in_acme: Tenant) -> None:
    check = make_check("A")
    delete_check(check)

    with pytest.raises(CheckGone):
        set_parents(check, [check])
