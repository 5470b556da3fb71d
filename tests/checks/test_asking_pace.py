"""Asked out of turn: by hand, over the API and for Prometheus, never more often than the plan has it."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.asking_pace import spend_by_hand, spend_probe
from apps.checks.domain.checks import check_by_hand, pause_check
from apps.checks.models import Check, Turn
from apps.core import clock
from apps.core.refusals import TooSoon
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.plans import give_plan
from tests.peers.web import answer, saying, serving
from tests.rivals import at_once

LATER = timedelta(minutes=5)


def waiting_check() -> Check:
    return make_check(due_at=clock.now() + LATER)


def postpone() -> None:
    later = clock.now() + LATER
    Turn.objects.update(due_at=later, claimable_at=later)


@pytest.mark.django_db
def test_by_hand_once_an_interval_of_the_plan(acme: Tenant) -> None:
    give_plan(acme, "free")
    with tenant_scope(acme.id):
        check, other = waiting_check(), waiting_check()
        check_by_hand(check)
        moved = list(Turn.objects.filter(claimable_at__lte=clock.now()).values_list("watched_id", flat=True))
        check_by_hand(check)  # it is due already: nothing to ask for, nothing to refuse
        postpone()

        with pytest.raises(TooSoon) as refused:
            check_by_hand(check)
        check_by_hand(other)

    assert moved == [check.id]
    seconds = refused.value.retry_after_seconds
    assert 200 <= seconds <= 300
    assert str(refused.value) == (
        f"A check is asked out of turn every 300 seconds at most, as your plan has it. Try again in {seconds} seconds."
    )


@pytest.mark.django_db
def test_what_changes_nothing_is_not_counted(in_acme: Tenant) -> None:
    check = waiting_check()
    pause_check(check)

    for _ in range(3):
        check_by_hand(check)

    spend_by_hand(check.id)


@pytest.mark.django_db
def test_api_says_429_and_when(acme: Tenant) -> None:
    give_plan(acme, "free")
    with tenant_scope(acme.id):
        check = waiting_check()
    api = make_api(acme)
    first = api.post(f"/api/v1/checks/{check.id}/run/", {})
    with tenant_scope(acme.id):
        postpone()

    second = api.post(f"/api/v1/checks/{check.id}/run/", {})

    assert (first.status_code, second.status_code) == (200, 429)
    assert 200 <= int(second.headers["Retry-After"]) <= 300
    body = second.json()
    assert (body["type"], body["status"]) == ("urn:obsera:problem:too_soon", 429)
    assert body["detail"].startswith("A check is asked out of turn every 300 seconds at most")
    with tenant_scope(acme.id):
        assert not Turn.objects.filter(claimable_at__lte=clock.now()).exists()


@pytest.mark.django_db
def test_page_says_so_too(acme: Tenant, owner: User, client: Client) -> None:
    client.force_login(owner)
    give_plan(acme, "free")
    with tenant_scope(acme.id):
        check = waiting_check()
        spend_by_hand(check.id)

    shown = client.post(reverse("checks:run_now", args=[acme.slug, check.id]), follow=True)

    texts = [str(message) for message in shown.context["messages"]]
    assert len(texts) == 1
    assert texts[0].startswith("A check is asked out of turn every 300 seconds at most")


@pytest.mark.django_db(transaction=True)
def test_of_rivals_one_passes(acme: Tenant) -> None:
    give_plan(acme, "free")
    check_id = uuid4()
    refused: list[TooSoon] = []

    def ask() -> None:
        with tenant_scope(acme.id):
            try:
                spend_by_hand(check_id)
            except TooSoon as refusal:
                refused.append(refusal)

    at_once(ask, workers=8)

    assert len(refused) == 7


@pytest.mark.django_db
def test_probes_are_no_more_than_the_plans_checks(acme: Tenant, globex: Tenant) -> None:
    give_plan(acme, "free", checks=3)
    with tenant_scope(acme.id):
        for number in range(3):
            spend_probe(f"http_2xx https://a.example/{number}")

        with pytest.raises(TooSoon) as refused:
            spend_probe("http_2xx https://a.example/4")

    assert 50 <= refused.value.retry_after_seconds <= 100  # three checks at 300 seconds: one in 100
    with tenant_scope(globex.id):
        spend_probe("http_2xx https://a.example/4")


@pytest.mark.django_db
def test_one_target_is_no_more_often_probed_than_the_shortest_interval(acme: Tenant) -> None:
    give_plan(acme, "free")
    target = f"https://a.example/{UUID(int=1)}"
    with tenant_scope(acme.id):
        for _ in range(4):  # two servers of Prometheus, and their jitter
            spend_probe(target)

        with pytest.raises(TooSoon) as refused:
            spend_probe(target)
        spend_probe(f"{target}/other")

    assert 100 <= refused.value.retry_after_seconds <= 150
    assert str(refused.value).startswith(
        "Your plan's shortest interval is 300 seconds: scrape this target no more often."
    )


@pytest.mark.django_db
def test_probe_door_says_429_and_when(acme: Tenant) -> None:
    give_plan(acme, "free", checks=1)
    Tenant.objects.filter(id=acme.id).update(allows_private_targets=True)
    headers = {"Authorization": f"Bearer {make_api(acme).key}"}
    with serving(saying(answer())) as web:
        first, second = (Client().get("/probe", {"target": web.url()}, headers=headers) for _ in range(2))
        asked = len(web.asked)

    assert (first.status_code, second.status_code, asked) == (200, 429, 1)
    assert 200 <= int(second.headers["Retry-After"]) <= 300
    assert second.content.decode().startswith(
        "There are no more probes in a minute than your plan's checks would make."
    )
