"""Pages of checks."""

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
from apps.checks.domain.queries import line_span, sparklines
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of
from apps.checks.enums import State, Verdict
from apps.checks.forms import CheckForm
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.checks.templatetags.checks import drawn_line
from apps.checks.types.http import HttpCheck
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db

FORM = {
    "name": "Shop",
    "interval_seconds": "30",
    "timeout_seconds": "5",
    "retries": "2",
    "retry_interval_seconds": "3",
    "degraded_ms": "",
    "tags": "web, EU, web",
    "config-url": "https://shop.example/health",
    "config-method": "GET",
    "config-headers": "Authorization: Bearer s3cret-token-of-shop",
    "config-expected_status": "200-299",
    "config-verify_tls": "on",
    "config-follow_redirects": "on",
    "config-http_version": "auto",
}


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def page(client: Client, tenant: Tenant, name: str, *args: object) -> str:
    response = client.get(reverse(f"checks:{name}", args=[tenant.slug, *args]))
    assert response.status_code == 200
    return response.content.decode()


def new_http_check(tenant: Tenant) -> str:
    return reverse("checks:create", args=[tenant.slug]) + "?kind=http"


@pytest.mark.parametrize("query", ["", "?kind=", "?kind=telepathy"])
def test_new_check_begins_with_the_choice_of_a_kind(signed_in: Client, acme: Tenant, query: str) -> None:
    response = signed_in.get(reverse("checks:create", args=[acme.slug]) + query)

    offered = [kind.kind for entry in response.context["groups"] for kind in entry.kinds]
    assert sorted(offered) == sorted(CHECK_TYPES.kinds())
    assert all(f'href="?kind={kind}"' in response.content.decode() for kind in offered)


def test_unprobed_kind_is_asked_for_no_interval_and_keeps_what_it_has(acme: Tenant) -> None:
    class Unprobed(HttpCheck):
        is_probed = False

    with tenant_scope(acme.id):
        check = make_check(retries=3)
        sent = {"name": "Backup", "tags": "", "config-url": "https://shop.example/", "config-http_version": "auto"}
        form = CheckForm({**FORM, **sent}, kind=Unprobed(), check=check, stored=config_of(check))

        assert form.is_valid(), form.errors
        assert [str(group.title) for group in form.groups] == [
            "What to watch",
            "Request",
            "Sign-in and cookies",
            "What the answer must be",
            "Redirects and connection",
        ]
        assert form.timing().retries == 3


def test_list_and_detail_name_the_kind(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check()
    label, icon = CHECK_TYPES.get("http").label, f"#{CHECK_TYPES.get('http').icon}"

    shown = [page(signed_in, acme, "list"), page(signed_in, acme, "detail", check.id)]

    assert [(str(label) in text, icon in text) for text in shown] == [(True, True)] * 2


def test_created_check_is_due_at_once_and_keeps_its_secret_sealed(signed_in: Client, acme: Tenant) -> None:
    response = signed_in.post(new_http_check(acme), FORM)

    with tenant_scope(acme.id):
        check = Check.objects.get()
        assert response.headers["Location"] == reverse("checks:detail", args=[acme.slug, check.id])
        assert (check.interval_seconds, check.retries, check.tags, check.degraded_ms) == (30, 2, ["web", "eu"], None)
        assert config_of(check).headers == {"Authorization": "Bearer s3cret-token-of-shop"}
        assert "s3cret" not in f"{check.config}{check.secrets}{check.target}"
        assert Turn.objects.get().claimable_at <= Turn.objects.get().due_at
        assert CheckState.objects.get().state == State.NEW


def test_secret_is_never_shown_again_and_stays_when_left_empty(signed_in: Client, acme: Tenant) -> None:
    signed_in.post(new_http_check(acme), FORM)
    with tenant_scope(acme.id):
        check = Check.objects.get()

    shown = page(signed_in, acme, "edit", check.id)
    response = signed_in.post(
        reverse("checks:edit", args=[acme.slug, check.id]), {**FORM, "name": "Shop EU", "config-headers": ""}
    )

    assert "s3cret" not in shown
    assert response.status_code == 302
    with tenant_scope(acme.id):
        check = Check.objects.get()
        assert (check.name, check.version) == ("Shop EU", 2)
        assert config_of(check).headers == {"Authorization": "Bearer s3cret-token-of-shop"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("config-url", "not a url", "config-url"),
        ("config-url", "ftp://shop.example/", "config-url"),
        ("config-expected_status", "2oo", "config-expected_status"),
        ("config-headers", "no colon here", "config-headers"),
        ("interval_seconds", "9", "interval_seconds"),
        ("timeout_seconds", "61", "timeout_seconds"),
        ("retries", "-1", "retries"),
        ("name", "", "name"),
        ("tags", ",".join(f"t{n}" for n in range(21)), "tags"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_made(
    signed_in: Client, acme: Tenant, field: str, value: str, message: str
) -> None:
    response = signed_in.post(new_http_check(acme), {**FORM, field: value})

    assert response.status_code == 422
    assert list(response.context["form"].errors) == [message]
    with tenant_scope(acme.id):
        assert Check.objects.count() == 0


def test_list_shows_the_worst_first_and_filters(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_check("Alpha", state=State.UP, tags=["eu"])
        make_check("Beta", state=State.DOWN)
        make_check("Gamma", state=State.PAUSED)
    address = reverse("checks:list", args=[acme.slug])

    def names(query: str = "") -> list[str]:
        return [check.name for check, _line, _days in signed_in.get(address + query).context["rows"]]

    assert names() == ["Beta", "Alpha", "Gamma"]
    assert names("?state=up") == ["Alpha"]
    assert names("?tag=eu") == ["Alpha"]
    assert names("?text=amm") == ["Gamma"]


@pytest.mark.parametrize("rows", [1, 3])
def test_list_asks_a_fixed_number_of_queries(
    signed_in: Client, acme: Tenant, rows: int, django_assert_num_queries: object
) -> None:
    with tenant_scope(acme.id):
        for number in range(rows):
            make_check(f"Check {number}")
    address = reverse("checks:list", args=[acme.slug])
    signed_in.get(address)

    with django_assert_num_queries(15):
        signed_in.get(address)


HTMX = {"HX-Request": "true"}


def ids_in(text: str) -> list[str]:
    return re.findall(r'<tr id="check-([0-9a-f-]+)"', text)


def test_list_grows_page_by_page_and_every_check_comes_once(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        made = [str(make_check(f"Check {number:03}", state=State.UP).id) for number in range(60)]
    address = reverse("checks:list", args=[acme.slug])

    whole = signed_in.get(address).content.decode()
    second = signed_in.get(address + "?page=1&upto=2&from=2", headers=HTMX).content.decode()
    third = signed_in.get(address + "?page=1&upto=3&from=3", headers=HTMX).content.decode()
    again = signed_in.get(address + "?page=1&upto=3", headers=HTMX).content.decode()
    plain = signed_in.get(address + "?page=2").content.decode()

    assert ids_in(whole) + ids_in(second) + ids_in(third) == made
    assert ids_in(again) == made
    assert ids_in(plain) == ids_in(second) == made[25:50]
    assert ["data-more" in text for text in (whole, second, third, again)] == [True, True, False, False]
    assert ["</html>" in text for text in (whole, second, again)] == [True, False, False]
    assert "1–50 of 60" in second
    assert 'rel="next" href="?page=3"' in second


def test_list_grows_up_to_a_bound(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        Check.objects.bulk_create(Check(name=f"{n:03}", kind="http", config={}, target="x") for n in range(230))
        CheckState.objects.bulk_create(CheckState(watched=check) for check in Check.objects.all())
    address = reverse("checks:list", args=[acme.slug])

    text = signed_in.get(address + "?page=1&upto=99", headers=HTMX).content.decode()
    endless = signed_in.get(address + "?page=1&upto=" + "9" * 5_000, headers=HTMX)

    assert len(ids_in(text)) == 200
    assert ("data-more" in text, 'href="?page=9"' in text) == (False, True)
    assert endless.status_code == 200


def test_availability_of_all_checks_keeps_filters_and_rows(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop", state=State.UP, created_at=clock.now() - timedelta(days=100))
        make_check("Other", state=State.UP)
    address = reverse("checks:list", args=[acme.slug]) + "?text=Shop&view=availability"

    shown = signed_in.get(address).content.decode()
    paused = by_htmx(signed_in, reverse("checks:pause", args=[acme.slug, check.id]) + "?view=availability")

    assert ids_in(shown) == [str(check.id)]
    assert 'aria-label="Uptime of Shop over 90 days: 100.000 %"' in shown
    assert f'data-days="{"u" * 90}"' in shown
    assert 'aria-label="Uptime of Shop over 90 days: ' in paused


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


def test_small_lines_are_drawn_with_their_gaps() -> None:
    assert re.findall(r' d="([^"]*)"', drawn_line([10.0, 20.0, None, 15.0])) == ["M2.0 19.1L38.0 2.0M110.0 10.6h.01"]
    assert drawn_line([None, None]) == ""


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


def test_kind_that_is_not_run_here_says_so(signed_in: Client, acme: Tenant, settings: Any) -> None:
    address = reverse("checks:create", args=[acme.slug])
    words = "Not switched on in this installation"

    settings.BROWSER_CHECKS = False
    off = [
        signed_in.get(address + query).content.decode().count(words) for query in ("", "?kind=browser", "?kind=http")
    ]
    settings.BROWSER_CHECKS = True
    on = [signed_in.get(address + query).content.decode().count(words) for query in ("", "?kind=browser")]

    assert (off, on) == ([1, 1, 0], [0, 0])


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


def by_htmx(client: Client, address: str, data: dict[str, str] | None = None) -> str:
    response = client.post(address, data or {}, headers={"HX-Request": "true"})
    assert response.status_code == 200
    return response.content.decode()


def test_row_of_the_list_is_paused_and_renamed_in_place(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop", state=State.UP)
    pause, rename = (reverse(f"checks:{name}", args=[acme.slug, check.id]) for name in ("pause", "rename"))

    paused = by_htmx(signed_in, pause)
    asked = signed_in.get(rename).content.decode()
    refused = by_htmx(signed_in, rename, {"name": " "})
    renamed = by_htmx(signed_in, rename, {"name": "Webshop"})

    assert paused.startswith(f'<tr id="check-{check.id}">')
    assert re.findall(r'hx-(get|post)="([^"]*)"', paused) == [
        ("get", rename),
        ("post", reverse("checks:resume", args=[acme.slug, check.id])),
    ]
    assert "state-paused" in paused
    assert ('name="name"' in asked, 'aria-invalid="true"' in refused) == (True, True)
    assert ">Webshop</a>" in renamed
    with tenant_scope(acme.id):
        check.refresh_from_db()
        assert (check.name, check.version) == ("Webshop", 1)


def bulk(client: Client, tenant: Tenant, **data: object) -> str:
    response = client.post(reverse("checks:bulk", args=[tenant.slug]), data, follow=True)
    assert response.status_code == 200
    return " ".join(str(message) for message in response.context["messages"])


def states(tenant: Tenant) -> dict[str, str]:
    with tenant_scope(tenant.id):
        return dict(CheckState.objects.order_by("watched__name").values_list("watched__name", "state"))


def test_many_are_paused_and_resumed_at_once(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        alpha, beta = (make_check(name, state=State.UP) for name in ("Alpha", "Beta"))
        make_check("Gamma", state=State.PAUSED)

    said = bulk(signed_in, acme, action="pause", ids=[str(alpha.id), str(beta.id)])

    assert said == "Pause: 2 checks changed."
    assert states(acme) == {"Alpha": "paused", "Beta": "paused", "Gamma": "paused"}
    with tenant_scope(acme.id):
        assert set(Turn.objects.filter(watched_id__in=[alpha.id, beta.id]).values_list("claimable_at")) == {(None,)}
        assert Flip.objects.count() == 2
    assert bulk(signed_in, acme, action="resume", everything="on", text="eta") == "Resume: one check changed."
    assert states(acme) == {"Alpha": "paused", "Beta": "unknown", "Gamma": "paused"}
    with tenant_scope(acme.id):
        assert Turn.objects.get(watched=beta).claimable_at is not None


def test_many_are_tagged_and_deleted_at_once(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        alpha, beta = make_check("Alpha", tags=["eu"]), make_check("Beta")
        full = make_check("Full", tags=[f"t{number}" for number in range(20)])

    assert bulk(signed_in, acme, action="tag", ids=[str(alpha.id), str(beta.id)], tags="EU, web") == (
        "Add tag: 2 checks changed."
    )
    assert bulk(signed_in, acme, action="untag", everything="on", tags="eu") == "Remove tag: 2 checks changed."
    assert bulk(signed_in, acme, action="tag", everything="on", tags="more") == "At most 20 tags."
    with tenant_scope(acme.id):
        assert dict(Check.objects.exclude(id=full.id).values_list("name", "tags")) == {
            "Alpha": ["web"],
            "Beta": ["web"],
        }
    assert bulk(signed_in, acme, action="delete", ids=[str(alpha.id)]) == "Delete: one check changed."
    assert list(states(acme)) == ["Beta", "Full"]


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        ({"action": "pause"}, "Choose at least one check."),
        (
            {"action": "explode", "everything": "on"},
            "Select a valid choice. explode is not one of the available choices.",
        ),
        ({"action": "pause", "ids": "1"}, "This is no id of a check. Choose at least one check."),
        ({"action": "tag", "everything": "on", "tags": " , "}, "Write a tag first."),
    ],
)
def test_bulk_action_that_makes_no_sense_changes_nothing(
    signed_in: Client, acme: Tenant, data: dict[str, str], refusal: str
) -> None:
    with tenant_scope(acme.id):
        make_check("Alpha", state=State.UP, tags=["eu"])

    assert bulk(signed_in, acme, **data) == refusal
    assert states(acme) == {"Alpha": "up"}


def test_bulk_action_reaches_no_other_tenant_and_needs_the_right(
    signed_in: Client, client: Client, acme: Tenant, globex: Tenant
) -> None:
    with tenant_scope(globex.id):
        theirs = make_check("Theirs", state=State.UP)

    assert bulk(signed_in, acme, action="delete", ids=[str(theirs.id)]) == "Delete: 0 checks changed."
    assert bulk(signed_in, acme, action="pause", everything="on") == "Pause: 0 checks changed."
    assert states(globex) == {"Theirs": "up"}
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))
    for name in ("bulk", "rename"):
        arguments = [acme.slug, theirs.id] if name == "rename" else [acme.slug]
        assert client.post(reverse(f"checks:{name}", args=arguments), {"action": "pause"}).status_code == 403


@pytest.mark.parametrize("rows", [1, 3])
def test_bulk_action_asks_a_fixed_number_of_queries(
    signed_in: Client, acme: Tenant, rows: int, django_assert_num_queries: object
) -> None:
    with tenant_scope(acme.id):
        for number in range(rows):
            make_check(f"Check {number}", state=State.UP)
    data = {"action": "pause", "everything": "on"}

    with django_assert_num_queries(19):
        signed_in.post(reverse("checks:bulk", args=[acme.slug]), data)


@pytest.mark.parametrize(
    ("age", "interval", "points", "step"),
    [
        (timedelta(seconds=40), 10, 6, 10),
        (timedelta(minutes=20), 10, 30, 40),
        (timedelta(days=3), 60, 30, 120),
        (timedelta(days=3), 300, 12, 300),
        (timedelta(days=3), 3_600, 12, 3_600),
    ],
)
def test_small_line_spans_the_age_and_no_point_is_narrower_than_the_interval(
    acme: Tenant, age: timedelta, interval: int, points: int, step: int
) -> None:
    now = clock.now()
    with tenant_scope(acme.id):
        check = make_check(interval_seconds=interval)
        check.created_at = now - age

        since, width = line_span(check, now=now)
        (line,) = sparklines([check]).values()

    assert ((now - since) / width, width) == (points, timedelta(seconds=step))
    assert abs(len(line) - points) <= 1
