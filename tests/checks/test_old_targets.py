"""Heartbeats whose period was kept as "1 day, 0:00:00" tell it like all others, without being edited."""

from importlib import import_module

import pytest
from django.db import connections

from apps.checks.domain.queries import find_checks
from apps.checks.models import Check
from apps.tenants.models import Tenant
from tests.checks.test_pings import heartbeat
from tests.factories.checks import make_check

RESPELL = import_module("apps.checks.migrations.0015_a_look_after_the_wait").RESPELL
KEPT = {
    "1 day, 0:00:00": "1 d",
    "7 days, 12:30:00": "7 d 12 h 30 min",
    "365 days, 0:00:00": "365 d",
    "0:01:00": "1 min",
    "23:59:59": "23 h 59 min 59 s",
    "1 h 30 min": "1 h 30 min",
    "0 3 * * * Europe/Berlin": "0 3 * * * Europe/Berlin",
    "Mon..Fri 03:00:00 UTC": "Mon..Fri 03:00:00 UTC",
    "": "",
}


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_periods_kept_in_any_spelling_are_found_as_they_are_shown(in_acme: Tenant) -> None:
    made = {kept: heartbeat(f"job {number}") for number, kept in enumerate(KEPT)}
    for kept, check in made.items():
        Check.objects.filter(id=check.id).update(target=kept)
    other = make_check("no heartbeat", target="0:01:00")

    for _again in range(2):
        with connections["owner"].cursor() as cursor:
            cursor.execute(RESPELL)

    targets = dict(Check.objects.values_list("id", "target"))
    assert {kept: targets[check.id] for kept, check in made.items()} == KEPT
    assert targets[other.id] == "0:01:00"
    day = made["1 day, 0:00:00"]
    assert (list(find_checks(text="1 d")), list(find_checks(text="1 day"))) == ([day], [])
