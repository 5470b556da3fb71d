"""Configuration as code, as values: what a document says, what it wants of what stands, what is written back."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.checks.domain.applying import Action, Change, make_plan
from apps.checks.domain.checks import Timing
from apps.checks.domain.configuration import (
    CHECK_FIELDS,
    DocumentErrors,
    Standing,
    configuration_document,
    read_configuration,
)
from apps.checks.domain.document_keys import with_keys
from apps.checks.types.http import HttpConfig
from apps.checks.types.registry import CHECK_TYPES

REGIONS = {"main": 1, "eu": 2}
URL = "https://shop.example/health"


def entry(**fields: Any) -> dict[str, Any]:
    return {"key": "shop", "name": "Shop", "kind": "http", "config": {"url": URL}, **fields}


def document(*checks: Any, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "obsera/v1", "checks": list(checks), **fields}


def standing(**fields: Any) -> Standing:
    given: dict[str, Any] = {
        "id": UUID(int=1),
        "key": "shop",
        "name": "Shop",
        "kind": "http",
        "config": HttpConfig(url=URL),
        "timing": Timing(),
        "tags": [],
        "is_paused": False,
    }
    return Standing(**{**given, **fields})


def plan(wanted: dict[str, Any], *checks: Standing, prune: str = "") -> list[tuple[Action, str, tuple[Change, ...]]]:
    made = make_plan(read_configuration(wanted, regions=REGIONS).entries, checks, prune_label=prune)
    return [(step.action, step.key, step.changes) for step in made.steps]


def errors_of(wanted: Any, *checks: Standing) -> dict[str, list[str]]:
    with pytest.raises(DocumentErrors) as caught:
        plan(wanted, *checks)
    return caught.value.errors


def test_plan_names_what_comes_changes_stays_and_goes() -> None:
    wanted = document(
        entry(key="new", name="New"),
        entry(name="Shop EU", interval_seconds=30, tags=["EU"], config={"url": URL, "keyword": "ok"}),
        entry(key="same", name="Same", tags=[]),
        managedBy="git",
    )
    managed = ["managed-by:git"]

    steps = plan(
        wanted,
        standing(),
        standing(key="same", name="Same", tags=managed),
        standing(key="gone", tags=managed),
        standing(key="foreign", tags=["managed-by:other"]),
        standing(key="by-hand"),
        prune="git",
    )

    changes = (
        Change("name", "Shop", "Shop EU"),
        Change("config.keyword", "", "ok"),
        Change("interval_seconds", 60, 30),
        Change("tags", [], ["eu", "managed-by:git"]),
    )
    assert steps == [
        (Action.CREATE, "new", ()),
        (Action.UPDATE, "shop", changes),
        (Action.UNCHANGED, "same", ()),
        (Action.PRUNE, "gone", ()),
    ]


def test_nothing_goes_without_a_label() -> None:
    assert plan(document(managedBy="git"), standing(tags=["managed-by:git"])) == []


def test_left_out_setting_returns_to_its_default_and_left_out_pause_stays() -> None:
    before = standing(config=HttpConfig(url=URL, keyword="ok"), timing=Timing(retries=3), is_paused=True)

    steps = plan(document(entry()), before)

    assert steps == [(Action.UPDATE, "shop", (Change("config.keyword", "ok", ""), Change("retries", 3, 1)))]
    assert plan(document(entry(paused=False)), standing(is_paused=True))[0][2] == (Change("paused", True, False),)


def test_dependencies_are_keys_and_left_alone_where_nothing_is_said() -> None:
    router, before = standing(key="router"), standing(depends_on=("router",))

    assert plan(document(entry()), before, router) == [(Action.UNCHANGED, "shop", ())]
    assert plan(document(entry(depends_on=[])), before, router)[0][2] == (Change("depends_on", ["router"], []),)
    assert configuration_document([before], region_codes={})["checks"][0]["depends_on"] == ["router"]


def test_written_document_hides_secrets_and_wants_no_change() -> None:
    check = standing(
        config=HttpConfig(url=URL, headers={"Authorization": "Bearer topsecret", "Accept": "text/plain"}),
        timing=Timing(interval_seconds=30, degraded_ms=500, regions=(1, 2), confirmations=2),
        tags=["eu"],
        is_paused=True,
    )

    written = configuration_document([check], region_codes={1: "main", 2: "eu"})

    assert written["checks"] == [
        {
            "key": "shop",
            "name": "Shop",
            "kind": "http",
            "config": {
                "url": URL,
                "headers": {
                    "Authorization": "${SECRET:SHOP_HEADERS_AUTHORIZATION}",
                    "Accept": "${SECRET:SHOP_HEADERS_ACCEPT}",
                },
            },
            "interval_seconds": 30,
            "degraded_ms": 500,
            "regions": ["main", "eu"],
            "confirmations": 2,
            "tags": ["eu"],
            "paused": True,
        }
    ]
    assert plan(written, check) == [(Action.UNCHANGED, "shop", ())]


def test_changed_secret_is_seen_but_not_shown() -> None:
    before = standing(config=HttpConfig(url=URL, headers={"X-Key": "old secret"}))

    steps = plan(document(entry(config={"url": URL, "headers": {"X-Key": "new secret"}})), before)

    assert steps[0][2] == (Change("config.headers", {"X-Key": "••••"}, {"X-Key": "••••"}),)


@pytest.mark.parametrize(
    ("wanted", "path", "words"),
    [
        ([], "", "apiVersion"),
        ({"checks": []}, "apiVersion", "obsera/v1"),
        (document(wrong=1), "wrong", "no such field"),
        ({"apiVersion": "obsera/v1"}, "checks", "list"),
        (document(*[{}] * 5_001), "checks", "5000"),
        (document(managedBy="No Label"), "managedBy", "lower-case"),
        (document("x"), "checks[0]", "mapping"),
        (document(entry(), entry()), "checks[1].key", "checks[0]"),
        (document(entry(key="No Key")), "checks[0].key", "up to 100 letters"),
        (document(entry(colour="blue")), "checks[0].colour", "no such field"),
        (document(entry(name=None)), "checks[0].name", "missing"),
        (document(entry(name="n" * 151)), "checks[0].name", "150"),
        (document(entry(kind="telepathy")), "checks[0].kind", "http"),
        (document(entry(interval_seconds=9)), "checks[0].interval_seconds", "10"),
        (document(entry(interval_seconds="60")), "checks[0].interval_seconds", "whole number"),
        (document(entry(interval_seconds=True)), "checks[0].interval_seconds", "whole number"),
        (document(entry(regions=["mars"])), "checks[0].regions", "eu, main"),
        (document(entry(regions="eu")), "checks[0].regions", "eu, main"),
        (document(entry(confirmations=2)), "checks[0].confirmations", "fewer regions"),
        (document(entry(paused="yes")), "checks[0].paused", "true or false"),
        (document(entry(tags="eu")), "checks[0].tags", "list"),
        (document(entry(depends_on="router")), "checks[0].depends_on", "list of keys"),
        (document(entry(depends_on=["router"])), "checks[0].depends_on", "“router”"),
        (document(entry(tags=["t" * 41])), "checks[0].tags", "40"),
        (document(entry(config=[])), "checks[0].config", "mapping"),
        (document(entry(config={})), "checks[0].config.url", "required"),
        (document(entry(config={"url": "ftp://x.example"})), "checks[0].config.url", "http"),
        (document(entry(config={"url": URL, "verb": "GET"})), "checks[0].config.verb", "no such setting"),
        (
            document(entry(config={"url": URL, "headers": {"A": "${SECRET:A}"}})),
            "checks[0].config.headers.A",
            "${SECRET:A}",
        ),
        (document(entry(config={"url": URL, "headers": {"A": "••••"}})), "checks[0].config.headers.A", "mask"),
    ],
)
def test_error_names_its_place_and_the_mend(wanted: Any, path: str, words: str) -> None:
    errors = errors_of(wanted)

    assert list(errors) == [path]
    assert words in errors[path][0]


def test_all_errors_come_at_once() -> None:
    wanted = document(entry(kind="x", retries=-1), entry(key="b", config={"url": "no"}), entry(key="C D"))

    assert sorted(errors_of(wanted)) == ["checks[0].kind", "checks[0].retries", "checks[2].key"]


def test_check_keeps_its_kind() -> None:
    assert list(errors_of(document(entry()), standing(kind="tcp"))) == ["checks[0].kind"]


def test_keys_are_made_of_names_and_stay_distinct() -> None:
    names = [("Shop", ""), ("Shop!", ""), ("Other", "shop-2"), ("Ünïcode", ""), ("日本", "")]

    assert with_keys(names) == ["shop", "shop-3", "shop-2", "unicode", "check"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(sorted(CHECK_FIELDS)), JSON)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        JSON,
        FIELDS.map(lambda fields: document(entry(**fields))),
        JSON.map(lambda config: document(entry(config=config))),
        st.tuples(st.sampled_from(list(CHECK_TYPES.kinds())), JSON).map(
            lambda pair: document(entry(kind=pair[0], config={"url": pair[1], "host": pair[1], "port": pair[1]}))
        ),
    )
)
def test_nonsense_is_refused_by_name_and_never_breaks(wanted: Any) -> None:
    try:
        plan(wanted)
    except DocumentErrors as error:
        texts = [text for texts in error.errors.values() for text in texts]
        paths = list(error.errors)
    else:
        texts = paths = ["fine"]

    assert texts
    assert all(texts)
    assert all(isinstance(path, str) for path in paths)
