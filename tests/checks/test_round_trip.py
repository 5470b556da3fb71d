"""Export and apply: what is moved to an empty tenant is what it was, of every kind, whatever things are called."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.checks.domain import agents
from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.checks import Timing, Wanted, create_checks, delete_checks, pause_check
from apps.checks.domain.dependencies import set_parents_of
from apps.checks.domain.group_members import members_of
from apps.checks.domain.settings import config_of
from apps.checks.models import Agent, Check, Dependency
from apps.checks.types.group import GroupConfig
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.checks.types.http import HttpConfig
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.incidents.domain.maintenance import keep_window
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow
from apps.tenants.models import Tenant

pytestmark = pytest.mark.django_db

UNPROBED = ("group", "heartbeat")
PLAIN = [kind for kind in CHECK_TYPES.kinds() if kind not in UNPROBED]
# Names that make the same key, names that are keys of others, names that look like references.
NAMES = st.sampled_from(["Shop", "shop", "SHOP!", "shop-2", "key:shop", "Büro", "★", "check", "API", "x" * 150])
KEYS = st.sampled_from(["", "", "", "shop", "api", "Shop_EU", "-x", "k" * 100])
TAGS = st.lists(st.sampled_from(["web", "eu", "db"]), unique=True)


@st.composite
def tenants(draw: st.DrawFn) -> dict[str, Any]:
    """What a tenant has, by places: checks of all kinds, groups by name, key, id and tag, dependencies, windows."""
    kinds = draw(st.lists(st.sampled_from([*PLAIN, "heartbeat"]), min_size=1, max_size=6))
    count = len(kinds)
    keys = draw(st.lists(KEYS, min_size=count + 2, max_size=count + 2))
    keys = [key if key not in keys[:place] else "" for place, key in enumerate(keys)]
    place = st.integers(0, count - 1)
    reference = st.tuples(st.sampled_from(["name", "key", "id", "by key"]), place)
    return {
        "kinds": kinds,
        "keys": keys,
        "names": draw(st.lists(NAMES, min_size=count + 2, max_size=count + 2)),
        "tags": draw(st.lists(TAGS, min_size=count, max_size=count)),
        "paused": draw(st.sets(place)),
        "groups": draw(st.lists(st.lists(reference, min_size=1, max_size=4), max_size=2)),
        "links": draw(st.sets(st.tuples(place, place).filter(lambda link: link[0] > link[1]), max_size=4)),
        "covered": draw(st.lists(st.sets(place, min_size=1), max_size=2)),
    }


def make(has: Mapping[str, Any]) -> None:
    places = range(len(has["kinds"]))
    wanted = [
        Wanted(
            name=has["names"][place],
            kind=has["kinds"][place],
            config=CHECK_TYPES.get(has["kinds"][place]).sample(),
            timing=Timing(interval_seconds=60 + place, retries=place % 3),
            tags=has["tags"][place],
            key=has["keys"][place],
        )
        for place in places
    ]
    made = create_checks(wanted)
    for number, references in enumerate(has["groups"]):
        texts = {
            "name": lambda check: check.name,
            "key": lambda check: check.key or check.name,
            "by key": lambda check: f"key:{check.key}" if check.key else check.name,
            "id": lambda check: str(check.id),
        }
        members = [texts[how](made[place]) for how, place in references]
        at = len(places) + number
        group = Wanted(
            name=has["names"][at],
            kind="group",
            config=GroupConfig(members=members, tag="web" if number else ""),
            timing=Timing(),
            key=has["keys"][at],
        )
        create_checks([replace(group, name=f"Group {number} {group.name[:100]}")])
    set_parents_of({made[child].id: {made[one].id for at, one in has["links"] if at == child} for child in places})
    for place in has["paused"]:
        pause_check(made[place])
    for covered in has["covered"]:
        keep_window(None, window([made[place] for place in covered]), actor=None)


def window(covered: list[Check]) -> WindowSettings:
    return WindowSettings(
        name="Night",
        repeat=Repeat.WEEKLY,
        time_zone="Europe/Berlin",
        duration=timedelta(hours=1),
        weekdays=[6],
        time_of_day=clock.now().time().replace(hour=2, minute=30, second=0, microsecond=0, tzinfo=None),
        checks=covered,
    )


def picture(keys: Mapping[Any, str]) -> dict[str, Any]:
    """Return everything that documents carry of the open tenant, by the keys of its checks."""
    return {
        "checks": {
            keys[check.id]: (
                check.name,
                check.kind,
                config_of(check),
                check.interval_seconds,
                check.retries,
                check.tags,
            )
            for check in Check.objects.exclude(kind="group")
        },
        "paused": sorted(keys[check.id] for check in Check.objects.filter(checkstate__state="paused")),
        "members": {
            keys[group.id]: sorted(keys[member.id] for member in members_of(group))
            for group in Check.objects.filter(kind="group")
        },
        "links": sorted((keys[link.child_id], keys[link.parent_id]) for link in Dependency.objects.all()),
        "windows": sorted(
            (row.name, sorted(keys[check.id] for check in row.checks.all())) for row in MaintenanceWindow.objects.all()
        ),
    }


def filled(document: Any, secrets: Mapping[str, Any]) -> Any:
    """Write the secrets back, as a person's environment does."""
    return {
        **document,
        "checks": [
            {**check, "config": {**check["config"], **secrets.get(check["key"], {})}} for check in document["checks"]
        ],
    }


def secrets_of(document: Any, keys: Mapping[Any, str]) -> dict[str, Any]:
    stored = {keys[check.id]: config_of(check) for check in Check.objects.all()}
    return {
        check["key"]: {
            name: getattr(stored[check["key"]], name)
            for name, value in check["config"].items()
            if "SECRET" in str(value)
        }
        for check in document["checks"]
    }


def exported_keys(document: Any) -> dict[Any, str]:
    rows = Check.objects.order_by("created_at", "id").values_list("id", flat=True)
    return dict(zip(rows, (check["key"] for check in document["checks"]), strict=True))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(has=tenants())
def test_what_is_moved_to_an_empty_tenant_is_what_it_was(has: dict[str, Any], acme: Tenant, globex: Tenant) -> None:
    with transaction.atomic():
        with tenant_scope(acme.id):
            make(has)
            exported = export_checks()
            keys = exported_keys(exported)
            before, secrets = picture(keys), secrets_of(exported, keys)
            at_home = apply_document(exported)
            delete_checks(Check.objects.all())
        with tenant_scope(globex.id):
            there = apply_document(filled(exported, secrets))
            moved, after = export_checks(), picture(dict(Check.objects.values_list("id", "key")))
            again = apply_document(moved)
        transaction.set_rollback(True)

    assert after == before
    assert moved == exported
    assert there.counts == {"create": len(there.steps), "update": 0, "unchanged": 0, "prune": 0}
    assert (at_home.counts["create"], at_home.counts["prune"]) == (0, 0)
    assert {step.kind for step in at_home.steps if step.action == "update"} <= {"group"}
    assert again.counts["unchanged"] == len(there.steps)


def test_every_kind_is_among_those_that_move() -> None:
    assert sorted([*PLAIN, *UNPROBED]) == sorted(CHECK_TYPES.kinds())


def test_members_are_written_by_their_keys(in_acme: Tenant) -> None:
    one, two, lower = create_checks(
        [
            Wanted(name=name, kind="http", config=HttpConfig(url="https://a.example/"), timing=Timing())
            for name in ("API", "API", "api")
        ]
    )
    groups = {"All": ["API"], "Lower": ["api"], "One": [str(one.id)], "Hex": [one.id.hex], "Nobody": ["gone"]}
    for name, members in groups.items():
        create_checks([Wanted(name=name, kind="group", config=GroupConfig(members=members), timing=Timing())])
    before = {group.name: list(members_of(group)) for group in Check.objects.filter(kind="group")}

    exported = export_checks()
    applied = apply_document(exported)

    written = {check["name"]: check["config"]["members"] for check in exported["checks"] if check["kind"] == "group"}
    assert written == {
        **{"All": ["key:api", "key:api-2"], "Lower": ["key:api-3"]},
        **{"One": ["key:api"], "Hex": ["key:api"], "Nobody": ["gone"]},
    }
    # “api” would mean the first check too once the document has given it that key.
    assert [step.name for step in applied.steps if step.action == "update"] == ["Lower"]
    assert {group.name: list(members_of(group)) for group in Check.objects.filter(kind="group")} == before
    assert apply_document(exported).counts["unchanged"] == 8
    assert {check.key for check in (two, lower)} == {""}
    assert list(Check.objects.order_by("created_at").values_list("key", flat=True)[:3]) == ["api", "api-2", "api-3"]


def test_a_name_that_means_the_same_changes_nothing_and_a_renaming_follows(in_acme: Tenant) -> None:
    shop = {"key": "shop", "name": "Shop", "kind": "http", "config": {"url": "https://shop.example/"}}
    group = {"key": "all", "name": "All", "kind": "group", "config": {"members": ["Shop"]}}
    document = {"apiVersion": "obsera/v1", "checks": [shop, group]}
    apply_document(document)
    by_key = {**group, "config": {"members": ["key:shop"]}}
    renamed = {**document, "checks": [{**shop, "name": "Shop EU"}, {**group, "config": {"members": ["Shop EU"]}}]}

    same = apply_document({**document, "checks": [shop, by_key]})
    after = apply_document(renamed)

    assert (same.counts["unchanged"], after.counts["update"]) == (2, 1)
    assert config_of(Check.objects.get(key="all")).members == ["Shop EU"]


# --- what agents bring ------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(in_acme: Tenant) -> Agent:
    return agents.create_agent(name="Office")[0]


SHOP = {"key": "shop", "name": "Shop", "kind": "http", "config": {"url": "https://shop.example/"}}
EMPTY: dict[str, Any] = {"apiVersion": "obsera/v1", "managedBy": "git", "checks": []}


def test_agents_heartbeats_are_not_exported_and_nothing_that_hangs_on_them_changes(
    agent: Agent, globex: Tenant
) -> None:
    apply_document({**EMPTY, "checks": [SHOP]})
    shop, heartbeat = Check.objects.get(key="shop"), agent.heartbeat
    assert heartbeat
    set_parents_of({shop.id: {heartbeat.id}})
    keep_window(None, window([shop, heartbeat]), actor=None)
    keep_window(None, replace(window([heartbeat]), name="Agent alone"), actor=None)
    create_checks(
        [Wanted(name="All", kind="group", config=GroupConfig(members=["Shop", "Agent Office"]), timing=Timing())]
    )

    exported = export_checks()
    exported["maintenance"][0]["description"] = "changed"
    exported["checks"][0]["depends_on"] = []
    applied = apply_document(exported)

    assert [check["key"] for check in exported["checks"]] == ["shop", "all"]
    assert exported["checks"][1]["config"]["members"] == ["key:shop", "Agent Office"]
    assert [entry["checks"] for entry in exported["maintenance"]] == [["shop"]]
    assert [(step.key, step.action.value) for step in applied.steps] == [
        ("shop", "unchanged"),
        ("all", "unchanged"),
        ("night", "update"),
    ]
    assert Dependency.objects.get().parent_id == heartbeat.id
    assert set(MaintenanceWindow.objects.get(name="Night").checks.all()) == {shop, heartbeat}
    with tenant_scope(globex.id):
        assert apply_document(exported).counts["create"] == 3


def test_pruning_never_touches_agents_heartbeats(agent: Agent) -> None:
    Check.objects.filter(id=agent.heartbeat_id).update(tags=["managed-by:git"], key="agent-office")

    applied = apply_document(EMPTY, prune_label="git")

    assert applied.steps == ()
    assert Check.objects.get().id == agent.heartbeat_id


def test_a_document_of_old_that_lists_one_is_applied_as_ever(agent: Agent) -> None:
    beat = {"key": "agent-office", "name": "Agent Office", "kind": "heartbeat", "tags": ["agents"]}
    config = {"period_seconds": 60, "grace_seconds": 60}
    depending = {**SHOP, "depends_on": ["agent-office"]}

    applied = apply_document({**EMPTY, "checks": [{**beat, "config": config}, depending]})
    again = apply_document({**EMPTY, "checks": [{**beat, "config": config}, depending]})

    assert applied.counts == {"create": 1, "update": 1, "unchanged": 0, "prune": 0}
    assert again.counts["unchanged"] == 2
    assert Check.objects.get(kind="heartbeat").id == agent.heartbeat_id
    assert config_of(Check.objects.get(kind="heartbeat")) == HeartbeatConfig(period_seconds=60, grace_seconds=60)
