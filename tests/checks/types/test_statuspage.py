"""Other people's status pages, told by a server that says what a test wants."""

import asyncio
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import State, Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.statuspage import MAX_ENTRIES, StatuspageCheck, StatuspageConfig, read_page
from apps.core.kinds import ConfigErrors, parse_config
from apps.core.tenancy import tenant_scope
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page
from apps.tenants.models import Tenant
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.peers.process import free_port
from tests.peers.web import Web, answer, saying, serving
from tests.statuspages.histories import watch

ALL_GOOD = {"indicator": "none", "description": "All Systems Operational"}
COMPONENTS = [
    {"name": "API", "status": "operational"},
    {"name": "Webhooks", "status": "degraded_performance"},
    {"name": "Search", "status": "partial_outage"},
    {"name": "Git", "status": "major_outage"},
    {"name": "Docs", "status": "under_maintenance"},
    {"name": "Twice", "status": "operational"},
    {"name": "Twice", "status": "major_outage"},
    {"name": "Odd", "status": "unknown"},
]


def document(**parts: Any) -> bytes:
    return json.dumps({"page": {"name": "Peer"}, "status": ALL_GOOD, **parts}).encode()


async def ask(url: str, *, allow_private: bool = True, **config: Any) -> Outcome:
    job = ProbeJob("one", "statuspage", StatuspageConfig(url=url, **config), PATIENCE, allow_private)
    return (await probe_all([job]))["one"]


async def told(body: bytes, status: int = 200, **config: Any) -> Outcome:
    with serving(saying(answer(status, body))) as web:
        return await ask(web.url(), **config)


def paths(web: Web) -> list[str]:
    return [request.split(b" ")[1].decode() for request in web.asked]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/", "/api/v2/summary.json"),
        ("", "/api/v2/summary.json"),
        ("/status/acme/", "/status/acme/api/v2/summary.json"),
        ("/api/v2/status.json", "/api/v2/status.json"),
        ("/page?lang=en", "/page/api/v2/summary.json"),
    ],
)
async def test_json_is_found_beside_the_page(given: str, asked: str) -> None:
    with serving(saying(answer(200, document()))) as web:
        outcome = await ask(web.url(given))

    assert paths(web) == [asked]
    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 200)
    assert outcome.first_byte_ms is not None


@pytest.mark.parametrize(
    ("indicator", "down_at", "verdict"),
    [
        ("none", "minor", Verdict.SUCCESS),
        ("minor", "minor", Verdict.FAILURE),
        ("minor", "major", Verdict.DEGRADED),
        ("major", "major", Verdict.FAILURE),
        ("critical", "major", Verdict.FAILURE),
        ("major", "critical", Verdict.DEGRADED),
        ("critical", "critical", Verdict.FAILURE),
        ("maintenance", "minor", Verdict.SUCCESS),
    ],
)
async def test_indicator_decides(indicator: str, down_at: str, verdict: Verdict) -> None:
    body = document(status={"indicator": indicator, "description": "So it is"})

    outcome = await told(body, down_at=down_at)

    assert outcome.verdict == verdict
    expected = "" if verdict == Verdict.SUCCESS else "statuspage_trouble"
    assert outcome.error_code == expected
    if expected:
        assert outcome.error_values == {"indicator": indicator, "description": "So it is"}


async def test_details_tell_what_is_wrong() -> None:
    outcome = await told(
        document(
            status={"indicator": "minor", "description": "Partially degraded"},
            components=COMPONENTS[:3],
            incidents=[
                {"name": "Slow search", "status": "investigating"},
                {"name": "Old story", "status": "resolved"},
                {"name": "Older", "status": "postmortem"},
            ],
            scheduled_maintenances=[
                {"name": "Now", "status": "in_progress"},
                {"name": "Later", "status": "scheduled"},
            ],
        )
    )

    assert outcome.details == {
        "indicator": "minor",
        "description": "Partially degraded",
        "affected": ["Webhooks: degraded_performance", "Search: partial_outage"],
        "incidents": ["Slow search"],
        "maintenances": ["Now"],
    }
    assert set(outcome.details) == set(StatuspageCheck.facts)


@pytest.mark.parametrize(
    ("components", "verdict", "code", "values"),
    [
        (["API"], Verdict.SUCCESS, "", {}),
        (["api"], Verdict.SUCCESS, "", {}),
        (["Docs"], Verdict.SUCCESS, "", {}),
        (
            ["Webhooks"],
            Verdict.DEGRADED,
            "statuspage_component",
            {"component": "Webhooks", "status": "degraded_performance"},
        ),
        (
            ["API", "Search"],
            Verdict.DEGRADED,
            "statuspage_component",
            {"component": "Search", "status": "partial_outage"},
        ),
        (["Search", "Git"], Verdict.FAILURE, "statuspage_component", {"component": "Git", "status": "major_outage"}),
        (["Twice"], Verdict.FAILURE, "statuspage_component", {"component": "Twice", "status": "major_outage"}),
        (["Odd"], Verdict.UNKNOWN, "statuspage_unmeasured", {"component": "Odd"}),
        (["API", "Gone"], Verdict.FAILURE, "statuspage_component_missing", {"component": "Gone"}),
    ],
)
async def test_named_components_alone_decide(
    components: list[str], verdict: Verdict, code: str, values: dict[str, str]
) -> None:
    body = document(status={"indicator": "critical", "description": "All is lost"}, components=COMPONENTS)

    outcome = await told(body, components=components)

    assert (outcome.verdict, outcome.error_code, dict(outcome.error_values)) == (verdict, code, values)


async def test_maintenance_counts_where_wished() -> None:
    running = document(scheduled_maintenances=[{"name": "Disks", "status": "in_progress"}])
    planned = document(scheduled_maintenances=[{"name": "Disks", "status": "scheduled"}])

    verdicts = [
        (await told(running)).verdict,
        (await told(running, counts_maintenance=True)).verdict,
        (await told(planned, counts_maintenance=True)).verdict,
        (await told(document(components=COMPONENTS), components=["Docs"], counts_maintenance=True)).verdict,
    ]

    assert verdicts == [Verdict.SUCCESS, Verdict.DEGRADED, Verdict.SUCCESS, Verdict.DEGRADED]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"<html>", "JSON"),
        (b"", "JSON"),
        (b"[" * 1_000_000, "JSON"),
        (b'{"a":' * 180_000, "JSON"),
        (b"9" * 1_000_000, "JSON"),
        (b"[]", "status.indicator"),
        (b'{"status": "UP"}', "status.indicator"),
        (b'{"status": {"indicator": 5}}', "status.indicator"),
        (b'{"status": {"indicator": "purple"}}', "purple"),
    ],
)
async def test_what_is_no_status_page_is_a_failure(body: bytes, detail: str) -> None:
    outcome = await told(body)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "statuspage_foreign")
    assert outcome.error_values == {"detail": detail}


async def test_strange_entries_are_passed_over() -> None:
    body = document(
        status={"indicator": "none", "description": "\x00\ud800" + "x" * 100_000},
        components=[5, None, {"name": 7, "status": []}, {"name": "API", "status": "operational"}],
        incidents={"not": "a list"},
        scheduled_maintenances=["text"],
    )

    outcome = await told(body, components=["API"])

    assert outcome.verdict == Verdict.SUCCESS
    assert outcome.details["description"] == "x" * 79 + "…"
    assert len(json.dumps(outcome.details)) < 4_000


async def test_a_thousand_troubles_stay_small() -> None:
    body = document(
        components=[{"name": f"{number} " + "n" * 500, "status": "major_outage"} for number in range(1_000)],
        incidents=[{"name": "i" * 500, "status": "investigating"}] * 900,
    )

    outcome = await told(body)

    assert len(json.dumps(outcome.details)) < 4_000


def test_no_more_entries_are_read_than_a_page_has() -> None:
    many = [{"name": "x", "status": "major_outage"}] * 100_000
    body = document(
        components=many, incidents=many, scheduled_maintenances=[{**many[0], "status": "verifying"}] * 9_999
    )

    news = read_page(body)

    assert [len(news.components), len(news.incidents), len(news.maintenances)] == [MAX_ENTRIES] * 3


async def test_other_answers_are_named() -> None:
    missing = await told(b"no", status=404)
    endless = await told(b" " * 3_000_000)

    assert (missing.error_code, missing.error_values) == ("status_mismatch", {"status": 404, "expected": "200"})
    assert (endless.error_code, endless.is_truncated) == ("statuspage_foreign", True)


async def test_redirects_are_followed_and_guarded() -> None:
    with serving(saying(answer(200, document()))) as page:
        moved = saying(answer(302, b"", Location=page.url("/api/v2/summary.json")))
        with serving(moved) as old:
            outcome = await ask(old.url())
    with serving(saying(answer(302, b"", Location="http://169.254.169.254/latest/"))) as evil:
        refused = await ask(evil.url())

    assert (outcome.verdict, outcome.redirects) == (Verdict.SUCCESS, 1)
    assert (refused.error_code, refused.error_values["reason"]) == ("address_forbidden", "metadata")


async def test_loop_of_redirects_ends() -> None:
    with serving(saying(answer(302, b"", Location="/again"))) as web:
        outcome = await ask(web.url())

    assert (outcome.error_code, web.connections) == ("too_many_redirects", 11)


async def test_private_page_is_refused_without_the_right() -> None:
    with serving(saying(answer(200, document()))) as web:
        outcome = await ask(web.url(), allow_private=False)

    assert (outcome.error_code, web.connections) == ("address_forbidden", 0)


async def test_nobody_there() -> None:
    outcome = await ask(f"http://127.0.0.1:{free_port()}/")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "connect_refused")


@pytest.mark.parametrize(
    ("state", "verdict", "indicator"),
    [(State.UP, Verdict.SUCCESS, "none"), (State.DOWN, Verdict.FAILURE, "critical")],
)
@pytest.mark.django_db
def test_our_own_pages_are_understood(
    client: Client, acme: Tenant, state: State, verdict: Verdict, indicator: str
) -> None:
    with tenant_scope(acme.id):
        page = create_page(title="Acme Cloud", slug="acme")
        check = watch("api", ("2026-01-01 00:00", State.UP), ("20 10:00", state))
        add_component(page, check, name="Public API", description="", group="")
    body = client.get(reverse("statuspages:summary", args=["acme"])).content

    whole = asyncio.run(told(body))
    component = asyncio.run(told(body, components=["Public API"]))

    assert (whole.verdict, whole.details["indicator"]) == (verdict, indicator)
    assert component.verdict == verdict


@pytest.mark.parametrize(
    ("given", "field"),
    [({"url": "ftp://x.example"}, "url"), ({}, "url"), ({"down_at": "none"}, "down_at"), ({"down_at": ""}, "down_at")],
)
def test_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    if field != "url":
        given = {"url": "https://status.example.com", **given}

    with pytest.raises(ConfigErrors) as caught:
        parse_config(StatuspageConfig, given)

    assert list(caught.value.errors) == [field]
