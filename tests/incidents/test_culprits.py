"""An outage whose check depends on something that was down meanwhile says so."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.dependencies import set_parents
from apps.checks.enums import State
from apps.checks.models import Check
from apps.core.tenancy import tenant_scope
from apps.incidents.domain.culprits import culprits_of
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from tests.statuspages.histories import watch

pytestmark = pytest.mark.django_db
UP = ("2026-01-01 00:00", State.UP)


def outages_of(*checks: Check) -> list[Outage]:
    found = Outage.objects.filter(watched__in=checks).select_related("watched")
    return list(found.order_by("started_at", "watched__name"))


def blamed(*checks: Check) -> list[str | None]:
    outages = outages_of(*checks)
    found = culprits_of(outages)
    return [found[outage.id].name if outage.id in found else None for outage in outages]


def test_topmost_thing_that_was_down_at_the_time_is_to_blame(in_acme: Tenant) -> None:
    router = watch("Router", UP, ("20 10:00", State.DOWN), ("20 11:00", State.UP))
    switch = watch("Switch", UP, ("20 10:01", State.DOWN), ("20 11:01", State.UP))
    shop = watch("Shop", UP, ("20 10:02", State.DOWN), ("20 10:30", State.UP), ("20 15:00", State.DOWN))
    set_parents(switch, [router])
    set_parents(shop, [switch])

    assert blamed(shop) == ["Router", None]
    assert blamed(switch) == ["Router"]
    assert blamed(router) == [None]


def test_slow_parent_and_one_down_later_are_not_to_blame(in_acme: Tenant) -> None:
    slow = watch("Slow", UP, ("20 10:00", State.DEGRADED), ("20 11:00", State.UP))
    later = watch("Later", UP, ("20 11:30", State.DOWN), ("20 11:40", State.UP))
    shop = watch("Shop", UP, ("20 10:10", State.DOWN), ("20 11:00", State.UP))
    set_parents(shop, [slow, later])

    assert blamed(shop) == [None]


def test_blame_takes_a_fixed_number_of_questions(in_acme: Tenant) -> None:
    router = watch("Router", UP, ("20 10:00", State.DOWN))
    shops = [watch(f"Shop {n}", UP, ("20 10:02", State.DOWN)) for n in range(3)]
    for shop in shops:
        set_parents(shop, [router])
    counts = []

    for outages in ([], outages_of(router), outages_of(shops[0]), outages_of(*shops)):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            culprits_of(outages)
        counts.append(len([query for query in asked if "checks_" in query["sql"] or "incidents_" in query["sql"]]))

    assert counts == [0, 1, 3, 3]


def test_pages_of_outages_name_who_is_to_blame(client: Client, acme: Tenant, owner: User) -> None:
    client.force_login(owner)
    with tenant_scope(acme.id):
        router = watch("Router", UP, ("20 10:00", State.DOWN))
        shop = watch("Shop", UP, ("20 10:02", State.DOWN))
        set_parents(shop, [router])
        mine, theirs = outages_of(shop)[0], outages_of(router)[0]

    listed = client.get(reverse("incidents:list", args=[acme.slug])).content.decode()
    shown = client.get(reverse("incidents:detail", args=[acme.slug, mine.id])).content.decode()

    link = reverse("incidents:detail", args=[acme.slug, theirs.id])
    assert f'because of <a href="{link}">Router</a>' in listed
    assert ("Because of Router" in shown, f'href="{link}"' in shown) == (True, True)
