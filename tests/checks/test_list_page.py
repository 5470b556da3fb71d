"""The list of checks: its order, pages and small lines, and what is done to one row or to many at once."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.domain.queries import line_span, sparklines
from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.checks.templatetags.checks import drawn_line
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.checks.test_views import signed_in
from tests.factories import make_member
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db
__all__ = ["signed_in"]
HTMX = {"HX-Request": "true"}


def ids_in(text: str) -> list[str]:
    return re.findall(r'<tr id="check-([0-9a-f-]+)"', text)


def by_htmx(client: Client, address: str, data: dict[str, str] | None = None) -> str:
    response = client.post(address, data or {}, headers={"HX-Request": "true"})
    assert response.status_code == 200
    return response.content.decode()


def bulk(client: Client, tenant: Tenant, **data: object) -> str:
    response = client.post(reverse("checks:bulk", args=[tenant.slug]), data, follow=True)
    assert response.status_code == 200
    return " ".join(str(message) for message in response.context["messages"])


def states(tenant: Tenant) -> dict[str, str]:
    with tenant_scope(tenant.id):
        return dict(CheckState.objects.order_by("watched__name").values_list("watched__name", "state"))


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
    before = signed_in.get(address + "?page=10&from=1", headers=HTMX).content.decode()

    assert len(ids_in(text)) == 200
    assert len(ids_in(before)) == 5
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


def test_small_lines_are_drawn_with_their_gaps() -> None:
    assert re.findall(r' d="([^"]*)"', drawn_line([10.0, 20.0, None, 15.0])) == ["M2.0 19.1L38.0 2.0M110.0 10.6h.01"]
    assert drawn_line([None, None]) == ""
