"""Regions: who may be chosen, who has fallen silent."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from apps.checks import tasks
from apps.checks.domain.judging import rejudge
from apps.checks.domain.regions import (
    lose_sight_of_silent_regions,
    mark_seen,
    mark_sick,
    mark_well,
    regions_without_controls,
    shared_regions,
)
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, CheckState, Flip, Region, SickSpell, Turn
from apps.core import clock
from apps.core.tenancy import system_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db


def test_only_regions_with_a_living_prober_are_offered(in_acme: Tenant) -> None:
    Region.objects.filter(code="eu").update(seen_at=clock.now())
    Region.objects.filter(code="us").update(seen_at=clock.now() - timedelta(hours=1))

    assert [region.code for region in shared_regions()] == ["main", "eu"]


@pytest.mark.parametrize(
    ("targets", "missing"), [((), ["main"]), (("https://one.example/", "https://other.example/"), [])]
)
def test_a_prober_without_controls_warns_and_its_region_tells(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    targets: tuple[str, ...],
    missing: list[str],
) -> None:
    settings.PROBE_CONTROLS = targets
    probing: list[object] = []
    monkeypatch.setattr(tasks, "run_prober", lambda *_given, controls, **_options: probing.append(controls))
    assert regions_without_controls() == []  # nobody has told

    tasks.run()

    assert probing == [targets]
    assert regions_without_controls() == missing
    assert ["no PROBE_CONTROLS are named" in record.getMessage() for record in caplog.records] == [True] * len(missing)


def test_where_nobody_looks_nothing_is_known_since_the_last_sign(in_acme: Tenant) -> None:
    silent_since = clock.now() - timedelta(minutes=10)
    check = make_check(state=State.UP, due_at=silent_since - timedelta(minutes=5))
    Region.objects.filter(id=MAIN_REGION).update(seen_at=silent_since)

    assert lose_sight_of_silent_regions() == 1
    assert lose_sight_of_silent_regions() == 0

    assert CheckState.objects.get().state == State.UNKNOWN
    assert [(flip.after, flip.at) for flip in Flip.objects.all()] == [("unknown", silent_since)]
    assert Turn.objects.get(watched=check).opinion is None


def test_living_region_keeps_its_say(in_acme: Tenant) -> None:
    make_check(state=State.UP)
    mark_seen(MAIN_REGION)

    assert lose_sight_of_silent_regions() == 0
    assert CheckState.objects.get().state == State.UP


def test_prober_that_comes_back_says_first_what_was_not_seen(in_acme: Tenant) -> None:
    silent_since = clock.now() - timedelta(hours=9)
    make_check(state=State.UP, due_at=silent_since - timedelta(minutes=5))
    Region.objects.filter(id=MAIN_REGION).update(seen_at=silent_since)

    mark_seen(MAIN_REGION)

    assert [(flip.after, flip.at) for flip in Flip.objects.all()] == [("unknown", silent_since)]


def test_paused_check_of_a_silent_region_stays_paused(in_acme: Tenant) -> None:
    make_check(state=State.PAUSED)
    Region.objects.filter(id=MAIN_REGION).update(seen_at=clock.now() - timedelta(hours=1))

    assert lose_sight_of_silent_regions() == 0
    assert CheckState.objects.get().state == State.PAUSED


def test_sick_spell_begins_and_ends_once(in_acme: Tenant) -> None:
    for _ in range(2):
        mark_sick(MAIN_REGION, ["https://a: timeout"])
    began = Region.objects.get(id=MAIN_REGION).sick_since_at
    for _ in range(2):
        mark_well(MAIN_REGION)

    spell = SickSpell.objects.get()
    assert (spell.began_at, spell.failed_controls) == (began, ["https://a: timeout"])
    assert spell.ended_at is not None
    assert Region.objects.get(id=MAIN_REGION).sick_since_at is None


# --- Clocks that are set --------------------------------------------------------------------------------------------------


def test_prober_that_lived_on_while_the_clock_was_set_ahead_says_nothing(in_acme: Tenant) -> None:
    make_check(state=State.UP)
    Region.objects.filter(id=MAIN_REGION).update(seen_at=clock.now() - timedelta(hours=1))

    mark_seen(MAIN_REGION, lives_on=True)

    assert (Flip.objects.count(), CheckState.objects.get().state) == (0, State.UP)
    assert lose_sight_of_silent_regions() == 0


def test_sign_of_life_from_the_future_counts_from_now(in_acme: Tenant) -> None:
    make_check(state=State.UP)
    Region.objects.filter(id=MAIN_REGION).update(seen_at=clock.now() + timedelta(hours=1))

    assert lose_sight_of_silent_regions() == 0

    seen_at = Region.objects.get(id=MAIN_REGION).seen_at
    assert seen_at
    assert abs(clock.now() - seen_at) < timedelta(minutes=1)
    with time_machine.travel(clock.now() + timedelta(minutes=2)):
        assert lose_sight_of_silent_regions() == 1


@pytest.mark.parametrize(
    ("last_result_minutes", "expected"), [(0, State.DOWN), (-60, State.UNKNOWN), (60, State.UNKNOWN)]
)
def test_result_is_a_sign_of_life_too(in_acme: Tenant, last_result_minutes: int, expected: State) -> None:
    """The clock was just set ahead: the region's last sign looks old, but it has just seen a failure."""
    check, now = make_check(state=State.UP), clock.now()
    Region.objects.filter(id=MAIN_REGION).update(seen_at=now - timedelta(hours=1))
    last = now + timedelta(minutes=last_result_minutes)
    Turn.objects.filter(watched=check).update(
        opinion=Verdict.FAILURE, failures=1, last_result_at=last, run_since_at=last
    )

    with system_scope("as the prober stores results"):
        rejudge([check.id])

    assert CheckState.objects.get().state == expected
