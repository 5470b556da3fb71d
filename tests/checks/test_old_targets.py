"""Heartbeats whose period was kept as "1 day, 0:00:00" show it like all others, without being edited."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.models import Check
from apps.checks.types.heartbeat import respelled
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.checks.test_pings import heartbeat
from tests.factories.api import make_api


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("1 day, 0:00:00", "1 d"),
        ("7 days, 12:30:00", "7 d 12 h 30 min"),
        ("365 days, 0:00:00", "365 d"),
        ("0:01:00", "1 min"),
        ("23:59:59", "23 h 59 min 59 s"),
        ("1 h 30 min", "1 h 30 min"),
        ("0 3 * * * Europe/Berlin", "0 3 * * * Europe/Berlin"),
        ("Mon..Fri 03:00:00 UTC", "Mon..Fri 03:00:00 UTC"),
        ("example.com:443", "example.com:443"),
        ("", ""),
    ],
)
def test_periods_of_any_spelling_are_told_in_units(kept: str, shown: str) -> None:
    assert respelled(kept) == shown


@pytest.mark.django_db
def test_old_heartbeat_shows_its_period_in_units_everywhere(in_acme: Tenant, owner: User, client: Client) -> None:
    check = heartbeat()
    with connection.cursor() as cursor:  # as a release of before has written it
        cursor.execute("UPDATE checks_check SET target = %s WHERE id = %s", ["1 day, 0:00:00", check.id])
    client.force_login(owner)

    own = client.get(reverse("checks:detail", args=["acme", check.id])).content.decode()
    many = client.get(reverse("checks:list", args=["acme"])).content.decode()
    form = client.get(reverse("checks:edit", args=["acme", check.id])).content.decode()
    told = make_api(in_acme, Role.EDITOR).get(f"/api/v1/checks/{check.id}/").json()

    assert ["1 day, 0:00:00" in text for text in (own, many, form)] == [False] * 3
    assert '<span class="mono truncate">1 d</span>' in own
    assert '<span class="cell-sub truncate">1 d</span>' in many
    assert told["target"] == "1 d"
    assert list(Check.objects.values_list("target", flat=True)) == ["1 d"]
