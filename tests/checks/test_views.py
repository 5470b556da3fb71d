"""The page of one check: what it shows, its chart, what is done from it, and who may."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.charts import default_period
from apps.checks.domain.checks import create_check
from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def page(client: Client, tenant: Tenant, name: str, *args: object) -> str:
    response = client.get(reverse(f"checks:{name}", args=[tenant.slug, *args]))
    assert response.status_code == 200
    return response.content.decode()


def test_list_and_detail_name_the_kind(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check()
    label, icon = CHECK_TYPES.get("http").label, f"#{CHECK_TYPES.get('http').icon}"

    shown = [page(signed_in, acme, "list"), page(signed_in, acme, "detail", check.id)]

    assert [(str(label) in text, icon in text) for text in shown] == [(True, True)] * 2


def test_page_of_a_check_shows_its_ninety_days(signed_in: Client, acme: Tenant) -> None:
    now = clock.now()
    with tenant_scope(acme.id):
        check = make_check("Shop", state=State.UP, created_at=now - timedelta(days=10))
        noon = (now - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
        for at, before, after in ((noon, "up", "down"), (noon + timedelta(minutes=43), "down", "up")):
            Flip.objects.create(watched=check, at=at, before=before, after=after)

    shown = page(signed_in, acme, "detail", check.id)

    assert f'data-days="{"n" * 79}{"u" * 8}duu"' in shown
    assert re.search(r'<li data-day="87">\w+ \d+: 43 min of outage</li>', shown)


def test_detail_explains_the_failure(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)
        result = make_result(
            check, Verdict.FAILURE, error_code="status_mismatch", error_values={"status": 503, "expected": "200"}
        )
    store_results([result])

    shown = page(signed_in, acme, "detail", check.id)

    assert "503" in shown
    assert "Confidence that this is no false alarm: 6.25 %" in shown
    with tenant_scope(acme.id):
        again = make_result(check, Verdict.FAILURE)
    store_results([again])
    assert "Confidence that this is no false alarm: 99.45 %" in page(signed_in, acme, "detail", check.id)
    assert signed_in.get(reverse("checks:chart", args=[acme.slug, check.id])).json()["bands"][0]["state"] == "down"


@pytest.mark.parametrize(("minutes", "period"), [(0, "15m"), (14, "15m"), (16, "1h"), (59, "1h"), (61, "6h")])
def test_young_check_shows_a_short_period(in_acme: Tenant, minutes: int, period: str) -> None:
    check = make_check(created_at=clock.now() - timedelta(minutes=minutes))

    assert default_period(check) == period


def test_page_of_a_check_that_is_not_probed_shows_no_probing(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        probed = make_check(state=State.UP)
        config = parse_config(CHECK_TYPES.get("heartbeat").Config, {})
        waited_for = create_check(name="Backup", kind="heartbeat", config=config)

    for check, count in ((probed, 1), (waited_for, 0)):
        shown = page(signed_in, acme, "detail", check.id)
        for mark in ('id="check-chart"', 'id="check-results"', reverse("checks:run_now", args=[acme.slug, check.id])):
            assert shown.count(mark) == count


def chart_of(client: Client, check: Check, since: timedelta, until: timedelta, now: datetime) -> dict[str, Any]:
    """Return the chart between two moments so long ago."""
    first, last = (int((now - ago).timestamp() * 1_000) for ago in (since, until))
    address = reverse("checks:chart", args=["acme", check.id])
    answer: dict[str, Any] = client.get(f"{address}?from={first}&to={last}").json()
    return answer


def test_chart_of_a_chosen_time_is_finer_and_knows_its_bounds(signed_in: Client, acme: Tenant, settings: Any) -> None:
    settings.RESULT_RETENTION_DAYS = 30
    now = clock.now().replace(microsecond=0)
    with tenant_scope(acme.id), time_machine.travel(now, tick=False):
        check = make_check(interval_seconds=10)

    with time_machine.travel(now, tick=False):
        hour = chart_of(signed_in, check, timedelta(hours=2), timedelta(hours=1), now)
        nothing = chart_of(signed_in, check, timedelta(hours=2, seconds=1), timedelta(hours=2), now)
        future = chart_of(signed_in, check, timedelta(minutes=30), timedelta(minutes=-30), now)
        long_ago = chart_of(signed_in, check, timedelta(days=60), timedelta(days=59), now)
        ever = chart_of(signed_in, check, timedelta(days=500), timedelta(0), now)

    def span(chart: dict[str, Any]) -> float:
        return float(chart["to"] - chart["from"]) / 60_000

    assert (span(hour), len(hour["times"]), hour["times"][1] - hour["times"][0]) == (60, 180, 20_000)
    assert span(nothing) == 1
    assert (span(future), future["to"]) == (30, int(now.timestamp() * 1_000))
    assert long_ago["times"][1] - long_ago["times"][0] == 3_600_000
    assert 100 * 24 * 60 <= span(ever) <= 100 * 24 * 60 + 60


@pytest.mark.parametrize(
    "query", ["from=x&to=y", "from=9&to=1", "from=99999999999999999999&to=1", "from=1", "from=5&to=5"]
)
def test_chart_of_no_time_is_that_of_its_period(signed_in: Client, acme: Tenant, query: str) -> None:
    with tenant_scope(acme.id):
        check = make_check()

    chart = signed_in.get(f"{reverse('checks:chart', args=['acme', check.id])}?period=1h&{query}").json()

    assert chart["to"] - chart["from"] == 3_600_000


def test_pause_and_resume_flip_and_stop_the_turns(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)

    signed_in.post(reverse("checks:pause", args=[acme.slug, check.id]))
    signed_in.post(reverse("checks:pause", args=[acme.slug, check.id]))
    with tenant_scope(acme.id):
        assert Turn.objects.get().claimable_at is None
    signed_in.post(reverse("checks:resume", args=[acme.slug, check.id]))

    with tenant_scope(acme.id):
        assert [(flip.before, flip.after) for flip in Flip.objects.order_by("id")] == [
            ("up", "paused"),
            ("paused", "unknown"),
        ]
        assert Turn.objects.get().claimable_at is not None


def test_delete_takes_all_of_it(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)
        result = make_result(check, Verdict.FAILURE)
    store_results([result])

    signed_in.post(reverse("checks:delete", args=[acme.slug, check.id]))

    with tenant_scope(acme.id):
        assert [model.objects.count() for model in (Check, Turn, CheckState, Flip)] == [0, 0, 0, 0]


def test_viewer_may_look_but_not_touch(client: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    shown = page(client, acme, "detail", check.id)
    response = client.post(reverse("checks:pause", args=[acme.slug, check.id]))

    assert reverse("checks:edit", args=[acme.slug, check.id]) not in shown
    assert response.status_code == 403


def test_strangers_check_is_not_there(signed_in: Client, acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        check = make_check("Secret plan")

    in_mine = signed_in.get(reverse("checks:detail", args=[acme.slug, check.id]))
    in_theirs = signed_in.get(reverse("checks:detail", args=[globex.slug, check.id]))

    assert (in_mine.status_code, in_theirs.status_code) == (404, 404)
