"""What a load balancer and a supervisor ask."""

import pytest
from django.test import Client

from apps.checks.models import MAIN_REGION, Region
from apps.core import clock

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("has_controls", "told"), [(None, "ok"), (True, "ok"), (False, "PROBE_CONTROLS names none in main")]
)
def test_regions_without_controls_are_told_and_not_needed(client: Client, has_controls: bool | None, told: str) -> None:
    Region.objects.filter(id=MAIN_REGION).update(has_controls=has_controls, seen_at=clock.now())

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["ready"], answer.json()["controls"]) == (200, True, told)
