"""Documents applied to real rows: what is made, changed and pruned, what is refused, and what is written back."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.checks.domain.applying import apply_document
from apps.checks.domain.dependencies import TooDeep
from apps.checks.domain.heartbeats import AddressTaken
from apps.checks.domain.settings import config_of
from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Dependency, Flip, Heartbeat, Turn
from apps.core import clock
from apps.core.documents import read_document
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import make_api

pytestmark = pytest.mark.django_db
YAML = b"""
apiVersion: obsera/v1
managedBy: shop-repo
checks:
  - key: shop
    name: Shop
    kind: http
    interval_seconds: 30
    config:
      url: https://shop.example/health
      headers: {Authorization: Bearer topsecret}
  - key: database
    name: Database
    kind: tcp
    config: {host: db.example, port: 5432}
    paused: true
"""


class Program:
    """Sends documents as they are."""

    def __init__(self, tenant: Tenant, role: Role = Role.EDITOR) -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {make_api(tenant, role).key}"}

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        answer = self._client.generic(
            "POST", f"/api/v1/checks/{path}", body, content_type="application/yaml", headers=self._headers
        )
        return answer.status_code, json.loads(answer.content)

    def export(self, query: str = "") -> bytes:
        answer = self._client.get(f"/api/v1/checks/export/{query}", headers=self._headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/yaml; charset=utf-8")
        return answer.content


@pytest.fixture
def program(acme: Tenant) -> Program:
    return Program(acme)


def names(tenant: Tenant) -> list[str]:
    with tenant_scope(tenant.id):
        return list(Check.objects.order_by("name").values_list("name", flat=True))


def test_apply_makes_what_the_document_says_and_a_second_time_nothing(program: Program, acme: Tenant) -> None:
    first = program.post("apply", YAML)
    second = program.post("apply", YAML)

    assert (first[0], first[1]["counts"]) == (200, {"create": 2, "update": 0, "unchanged": 0, "prune": 0})
    assert second[1]["counts"] == {"create": 0, "update": 0, "unchanged": 2, "prune": 0}
    with tenant_scope(acme.id):
        shop, database = Check.objects.get(key="shop"), Check.objects.get(key="database")
        assert (shop.name, shop.interval_seconds, shop.tags) == ("Shop", 30, ["managed-by:shop-repo"])
        assert config_of(shop).headers == {"Authorization": "Bearer topsecret"}
        assert CheckState.objects.get(watched=database).state == State.PAUSED


def test_key_of_a_check_of_another_kind_is_refused(program: Program, acme: Tenant) -> None:
    program.post("apply", YAML)

    status, said = program.post("apply", YAML.replace(b"kind: http", b"kind: drift"))

    sentence = "A check keeps its kind (http); make another one, with another key."
    assert (status, said["errors"]) == (400, {"checks[0].kind": [sentence]})


@pytest.mark.parametrize("flag", ["dry_run=1", "dry_run", "dry_run=", "dry_run=TRUE"])
def test_dry_run_says_the_same_and_does_nothing(program: Program, acme: Tenant, flag: str) -> None:
    status, said = program.post(f"apply?{flag}", YAML)

    assert (status, said["dry_run"], said["counts"]["create"]) == (200, True, 2)
    assert [step["action"] for step in said["steps"]] == ["create", "create"]
    assert names(acme) == []


def test_exported_document_keeps_secrets_and_wants_nothing(program: Program, acme: Tenant) -> None:
    program.post("apply", YAML)

    exported = program.export()
    status, said = program.post("apply", exported)

    assert b"topsecret" not in exported
    assert read_document(exported)["checks"][0]["config"]["headers"] == {
        "Authorization": "${SECRET:SHOP_HEADERS_AUTHORIZATION}"
    }
    assert (status, said["counts"]["unchanged"]) == (200, 2)
    with tenant_scope(acme.id):
        assert config_of(Check.objects.get(key="shop")).headers == {"Authorization": "Bearer topsecret"}
    assert [check["key"] for check in read_document(program.export("?tag=nothing"))["checks"]] == []


def test_prune_deletes_what_left_the_document_and_nothing_else(program: Program, acme: Tenant) -> None:
    program.post("apply", YAML)
    program.post("apply", YAML.replace(b"shop-repo", b"other-repo").replace(b"key: ", b"key: other-"))
    made = {"name": "By hand", "kind": "http", "config": {"url": "https://hand.example/"}}
    assert make_api(acme).post("/api/v1/checks/", made).status_code == 201
    shorter = YAML[: YAML.index(b"  - key: database")]

    kept = program.post("apply", shorter)
    status, said = program.post("apply?prune=shop-repo", shorter)

    assert kept[1]["counts"]["prune"] == 0
    assert (status, [(step["action"], step["key"]) for step in said["steps"]]) == (
        200,
        [("unchanged", "shop"), ("prune", "database")],
    )
    assert names(acme) == ["By hand", "Database", "Shop", "Shop"]


def test_change_shows_fields_and_keeps_the_row(program: Program, acme: Tenant) -> None:
    program.post("apply", YAML)
    with tenant_scope(acme.id):
        before = Check.objects.get(key="shop")

    _status, said = program.post(
        "apply", YAML.replace(b"name: Shop\n", b"name: Shop EU\n").replace(b"topsecret", b"newsecret")
    )

    assert said["steps"][0]["changes"] == [
        {"field": "name", "before": "Shop", "after": "Shop EU"},
        {"field": "config.headers", "before": {"Authorization": "••••"}, "after": {"Authorization": "••••"}},
    ]
    with tenant_scope(acme.id):
        after = Check.objects.get(key="shop")
        assert (after.id, after.version) == (before.id, before.version + 1)
        assert config_of(after).headers == {"Authorization": "Bearer newsecret"}


def dependencies(tenant: Tenant) -> list[tuple[str, str]]:
    with tenant_scope(tenant.id):
        return sorted(Dependency.objects.values_list("child__key", "parent__key"))


def test_dependencies_are_drawn_redrawn_and_never_in_a_circle(program: Program, acme: Tenant) -> None:
    drawn = YAML.replace(b"name: Shop\n", b"name: Shop\n    depends_on: [database]\n")
    circle = drawn.replace(b"name: Database\n", b"name: Database\n    depends_on: [shop]\n")

    program.post("apply", drawn)
    first = dependencies(acme)
    exported = program.export()
    status, _problem = program.post("apply", circle)
    left_alone = program.post("apply", YAML)[1]["counts"]
    cleared = program.post("apply", drawn.replace(b"[database]", b"[]"))[1]["steps"][0]["changes"]

    assert first == [("shop", "database")]
    assert read_document(exported)["checks"][0]["depends_on"] == ["database"]
    assert (status, left_alone["unchanged"]) == (409, 2)
    assert cleared == [{"field": "depends_on", "before": ["database"], "after": []}]
    assert dependencies(acme) == []


def many(count: int, **more: Any) -> dict[str, Any]:
    """A document of web checks behind the first one, heartbeats among them."""
    web = [
        {"key": f"web-{n}", "name": f"Web {n}", "kind": "http", "config": {"url": f"https://{n}.example/"}, **more}
        for n in range(count)
    ]
    for check in web[1:]:
        check["depends_on"] = ["web-0"]
    jobs = [{"key": f"job-{n}", "name": f"Job {n}", "kind": "heartbeat", **more} for n in range(count)]
    return {"apiVersion": "obsera/v1", "managedBy": "repo", "checks": [*web, *jobs]}


def queries_of(document: Any, **how: Any) -> int:
    with CaptureQueriesContext(connection) as asked:
        apply_document(document, **how)
    return len(asked)


def test_any_number_of_checks_takes_the_same_number_of_queries(acme: Tenant, globex: Tenant) -> None:
    counted = []
    for tenant, count in ((acme, 3), (globex, 30)):
        with tenant_scope(tenant.id):
            counted.append(
                [
                    queries_of(many(count)),
                    queries_of(many(count, interval_seconds=30, tags=["eu"])),
                    queries_of(many(count, interval_seconds=30, tags=["eu"], paused=True)),
                    queries_of(many(count, interval_seconds=30, tags=["eu"], paused=False)),
                    queries_of(many(1), prune_label="repo"),
                ]
            )
            assert Check.objects.count() == 2

    *few, few_deleted = counted[0]
    *more, more_deleted = counted[1]
    assert few == more
    assert more_deleted - few_deleted <= 1  # rows are deleted in portions


def test_many_checks_are_made_changed_rested_and_resumed_like_one(in_acme: Tenant) -> None:
    started = clock.now()
    apply_document(many(4))
    turns = list(Turn.objects.order_by("due_at").values_list("watched__key", flat=True))
    spread = Turn.objects.order_by("-due_at").first().due_at - started

    apply_document(many(4, interval_seconds=20, tags=["eu"]))

    assert turns == ["web-0", "web-1", "web-2", "web-3"]
    assert spread < timedelta(seconds=5)  # four are no storm
    assert dependencies(in_acme) == [("web-1", "web-0"), ("web-2", "web-0"), ("web-3", "web-0")]
    assert (
        list(Check.objects.values_list("interval_seconds", "tags", "version"))
        == [(20, ["eu", "managed-by:repo"], 2)] * 8
    )
    assert list(Heartbeat.objects.order_by("slug").values_list("slug", flat=True)) == [f"job-{n}" for n in range(4)]

    apply_document(many(4, interval_seconds=20, tags=["eu"], paused=True))

    assert set(CheckState.objects.values_list("state", flat=True)) == {State.PAUSED}
    assert not Turn.objects.exclude(claimable_at=None).exists()
    assert Flip.objects.filter(after=State.PAUSED).count() == 8

    apply_document(many(4, interval_seconds=20, tags=["eu"], paused=False))

    assert set(CheckState.objects.values_list("state", flat=True)) == {State.UNKNOWN}
    assert Turn.objects.exclude(claimable_at=None).count() == 4


def test_deep_chain_in_one_document_is_refused_and_nothing_is_made(in_acme: Tenant) -> None:
    document = many(200)
    document["checks"] = document["checks"][:200]
    for check, before in zip(document["checks"][1:], document["checks"], strict=False):
        check["depends_on"] = [before["key"]]

    with pytest.raises(TooDeep), transaction.atomic():
        apply_document(document)

    assert not Check.objects.exists()


def test_address_that_two_heartbeats_of_a_document_want_is_refused(in_acme: Tenant) -> None:
    document = many(1)
    job = {"kind": "heartbeat", "config": {"address": "31365bce-8da9-4729-8ff3-aaa71d56b712"}}
    document["checks"] += [{**job, "key": "a", "name": "A"}, {**job, "key": "b", "name": "B"}]

    with pytest.raises(AddressTaken), transaction.atomic():
        apply_document(document)

    assert not Check.objects.exists()


def test_check_made_by_hand_is_found_by_its_name_and_keeps_the_key(program: Program, acme: Tenant) -> None:
    made = {"name": "Shop", "kind": "http", "config": {"url": "https://shop.example/health"}}
    row = make_api(acme).post("/api/v1/checks/", made).json()

    _status, said = program.post("apply", program.export())

    assert [(step["action"], step["key"]) for step in said["steps"]] == [("unchanged", "shop")]
    with tenant_scope(acme.id):
        assert str(Check.objects.get(key="shop").id) == row["id"]


def test_all_or_nothing(program: Program, acme: Tenant) -> None:
    status, problem = program.post("apply", YAML.replace(b"port: 5432", b"port: 99999"))

    assert (status, list(problem["errors"])) == (400, ["checks[1].config.port"])
    assert names(acme) == []


@pytest.mark.parametrize(
    ("query", "body", "place"),
    [
        ("?dryrun=1", YAML, "dryrun"),
        ("?dry_run=maybe", YAML, "dry_run"),
        ("?dry_run=1&dry_run=0", YAML, "dry_run"),
        ("?prune=other", YAML, "managedBy"),
        ("", b"a: [", "__all__"),
        ("", b"checks: []\nchecks: []", "checks"),
        ("", b"a: &a [*a]", "a[0]"),
        ("", b"", "__all__"),
    ],
)
def test_wrong_request_names_its_place_and_applies_nothing(
    program: Program, acme: Tenant, query: str, body: bytes, place: str
) -> None:
    status, problem = program.post(f"apply{query}", body)

    assert (status, list(problem["errors"])) == (400, [place])
    assert names(acme) == []


def test_too_large_body_is_refused(program: Program) -> None:
    assert program.post("apply", b"x" * 3_000_000)[0] == 400


def test_stranger_and_viewer_change_nothing(acme: Tenant, globex: Tenant) -> None:
    Program(globex).post("apply", YAML)

    assert Program(acme, Role.VIEWER).post("apply", YAML)[0] == 403
    assert read_document(Program(acme, Role.VIEWER).export())["checks"] == []
    assert Program(acme).post("apply?prune=shop-repo", YAML)[1]["counts"]["create"] == 2
    assert names(globex) == ["Database", "Shop"]
