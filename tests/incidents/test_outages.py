"""Outages follow from flips, whatever the order in which the events arrive."""

from collections import Counter
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.domain.checks import pause_check
from apps.checks.enums import State
from apps.checks.events import CheckFlipped, CheckWentDown, CheckWentUp
from apps.checks.models import Flip
from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxRow
from apps.incidents.domain.outages import account_for_flips, concerned_by_flips
from apps.incidents.enums import EntryKind, Severity
from apps.incidents.handlers import on_check_flipped
from apps.incidents.models import Outage, OutageEntry
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.factories.incidents import make_flip, minute
from tests.rivals import at_once

pytestmark = pytest.mark.django_db


def outages() -> list[tuple[object, ...]]:
    return list(Outage.objects.order_by("started_at").values_list("severity", "started_at", "ended_at", "error_code"))


def lines() -> list[tuple[str, object]]:
    return list(OutageEntry.objects.order_by("at").values_list("kind", "at"))


def told() -> Counter[str]:
    """Events of outages, each counted once although every handler has a row."""
    pairs = OutboxRow.objects.filter(event__startswith="incidents.").values_list("event", "handler")
    by_event = Counter(event for event, _ in pairs)
    handlers = Counter(event for event, _ in set(pairs))
    return Counter({event: count // handlers[event] for event, count in by_event.items()})


def test_flip_down_opens_an_outage_at_the_flips_instant(in_acme: Tenant) -> None:
    check = make_check()
    flip = make_flip(check, State.DOWN, minute(1), error_values={"port": 9})

    account_for_flips([check.id])

    outage = Outage.objects.get()
    assert outages() == [(Severity.DOWN, minute(1), None, "connect_refused")]
    assert (outage.opened_by_id, outage.last_flip_id, outage.error_values) == (flip.id, flip.id, {"port": 9})
    assert lines() == [(EntryKind.OPENED, minute(1))]
    assert told() == {"incidents.outage_opened": 1}


def test_degraded_down_degraded_up_is_one_outage_with_its_worst_severity(in_acme: Tenant) -> None:
    check = make_check()
    steps = ((State.DEGRADED, 1), (State.DOWN, 2), (State.DEGRADED, 5), (State.UP, 9))
    severities = []

    for state, at in steps:
        make_flip(check, state, minute(at))
        account_for_flips([check.id])
        severities.append((Outage.objects.get().severity, Outage.objects.get().severity_now))

    assert severities == [
        (Severity.DEGRADED, Severity.DEGRADED),
        (Severity.DOWN, Severity.DOWN),
        (Severity.DOWN, Severity.DEGRADED),
        (Severity.DOWN, None),
    ]
    assert outages() == [(Severity.DOWN, minute(1), minute(9), "connect_refused")]
    assert lines() == [
        (EntryKind.OPENED, minute(1)),
        (EntryKind.WORSENED, minute(2)),
        (EntryKind.IMPROVED, minute(5)),
        (EntryKind.RESOLVED, minute(9)),
    ]
    assert told() == {"incidents.outage_opened": 1, "incidents.outage_changed": 2, "incidents.outage_resolved": 1}


def test_events_out_of_order_and_twice_give_the_same_outages(in_acme: Tenant) -> None:
    check = make_check()
    flips = [
        make_flip(check, state, minute(at))
        for at, state in enumerate((State.DOWN, State.UP, State.DEGRADED, State.UP, State.DOWN))
    ]
    events = [CheckFlipped(tenant_id=in_acme.id, check_id=check.id, flip_id=flip.id) for flip in flips]

    for event in (events[4], events[0], events[2], events[2], events[1], events[3], events[4]):
        on_check_flipped([event])

    assert outages() == [
        (Severity.DOWN, minute(0), minute(1), "connect_refused"),
        (Severity.DEGRADED, minute(2), minute(3), ""),
        (Severity.DOWN, minute(4), None, "connect_refused"),
    ]
    assert told() == {"incidents.outage_opened": 3, "incidents.outage_resolved": 2}


def test_second_flip_seen_alone_after_the_first_goes_on_with_its_outage(in_acme: Tenant) -> None:
    check = make_check()
    make_flip(check, State.DOWN, minute(0))
    account_for_flips([check.id])
    make_flip(check, State.UP, minute(3))

    account_for_flips([check.id])
    account_for_flips([check.id])

    assert outages() == [(Severity.DOWN, minute(0), minute(3), "connect_refused")]
    assert told() == {"incidents.outage_opened": 1, "incidents.outage_resolved": 1}


def test_healthy_flips_open_nothing(in_acme: Tenant) -> None:
    check = make_check()
    for at, state in enumerate((State.UP, State.PAUSED, State.UNKNOWN, State.UP)):
        make_flip(check, state, minute(at))

    account_for_flips([check.id])

    assert (outages(), lines(), told()) == ([], [], {})


def test_pause_during_an_outage_ends_it_as_no_longer_watched(in_acme: Tenant) -> None:
    check = make_check(state=State.DOWN)
    make_flip(check, State.DOWN, minute(0))
    account_for_flips([check.id])

    pause_check(check)
    account_for_flips([check.id])

    paused_at = Flip.objects.get(after=State.PAUSED).at
    assert outages() == [(Severity.DOWN, minute(0), paused_at, "connect_refused")]
    assert lines() == [(EntryKind.OPENED, minute(0)), (EntryKind.LOST_SIGHT, paused_at)]


@pytest.mark.parametrize(
    ("hidden", "told_as"),
    [(State.UNKNOWN, EntryKind.UNSEEN), (State.MAINTENANCE, EntryKind.IN_MAINTENANCE), (State.NEW, EntryKind.UNSEEN)],
)
def test_outage_out_of_sight_stays_open_until_the_check_is_seen_well(
    in_acme: Tenant, hidden: State, told_as: EntryKind
) -> None:
    check = make_check()
    for at, state in enumerate((State.DOWN, State.DEGRADED, hidden)):
        make_flip(check, state, minute(at))
    account_for_flips([check.id])
    while_hidden = (Outage.objects.get().severity, Outage.objects.get().severity_now, Outage.objects.get().is_open)

    make_flip(check, State.UP, minute(9))
    account_for_flips([check.id])

    assert while_hidden == (Severity.DOWN, Severity.DEGRADED, True)
    assert outages() == [(Severity.DOWN, minute(0), minute(9), "connect_refused")]
    assert lines() == [
        (EntryKind.OPENED, minute(0)),
        (EntryKind.IMPROVED, minute(1)),
        (told_as, minute(2)),
        (EntryKind.RESOLVED, minute(9)),
    ]


def test_outage_seen_again_as_before_goes_on_and_says_so(in_acme: Tenant) -> None:
    check = make_check()
    for at, state in enumerate((State.DOWN, State.UNKNOWN, State.MAINTENANCE, State.DOWN)):
        make_flip(check, state, minute(at))

    account_for_flips([check.id])

    assert outages() == [(Severity.DOWN, minute(0), None, "connect_refused")]
    assert [kind for kind, _at in lines()] == [
        EntryKind.OPENED,
        EntryKind.UNSEEN,
        EntryKind.IN_MAINTENANCE,
        EntryKind.SEEN_AGAIN,
    ]
    assert told() == {"incidents.outage_opened": 1, "incidents.outage_changed": 3}


def test_pause_out_of_sight_ends_the_outage(in_acme: Tenant) -> None:
    check = make_check()
    for at, state in enumerate((State.DOWN, State.UNKNOWN, State.PAUSED, State.UNKNOWN)):
        make_flip(check, state, minute(at))

    account_for_flips([check.id])

    assert outages() == [(Severity.DOWN, minute(0), minute(2), "connect_refused")]


def test_flips_count_in_the_order_in_which_they_came_about_whatever_their_ids(in_acme: Tenant) -> None:
    """Ids come from the clocks of several machines; one of them may be behind."""
    check = make_check()
    make_flip(check, State.DOWN, minute(0), id=UUID(int=9))
    account_for_flips([check.id])
    make_flip(check, State.UP, minute(1), id=UUID(int=5))
    make_flip(check, State.DOWN, minute(2), id=UUID(int=3))

    account_for_flips([check.id])

    assert outages() == [
        (Severity.DOWN, minute(0), minute(1), "connect_refused"),
        (Severity.DOWN, minute(2), None, "connect_refused"),
    ]


def test_recovery_dated_before_the_beginning_ends_at_the_beginning(in_acme: Tenant) -> None:
    """Two probers' clocks need not agree."""
    check = make_check()
    make_flip(check, State.DOWN, minute(5))
    make_flip(check, State.UP, minute(4))

    account_for_flips([check.id])

    assert outages() == [(Severity.DOWN, minute(5), minute(5), "connect_refused")]


def test_many_checks_are_accounted_for_as_each_alone(in_acme: Tenant) -> None:
    checks = [make_check(f"Check {number}") for number in range(3)]
    make_flip(checks[0], State.DOWN, minute(0))
    make_flip(checks[1], State.DEGRADED, minute(1))
    account_for_flips([checks[0].id])
    for check in checks:
        make_flip(check, State.UP, minute(2))
    make_flip(checks[0], State.DOWN, minute(3))

    account_for_flips([check.id for check in checks])

    assert outages() == [
        (Severity.DOWN, minute(0), minute(2), "connect_refused"),
        (Severity.DEGRADED, minute(1), minute(2), ""),
        (Severity.DOWN, minute(3), None, "connect_refused"),
    ]
    assert told() == {"incidents.outage_opened": 3, "incidents.outage_resolved": 2}


@pytest.mark.parametrize("count", [1, 5])
def test_outages_of_many_checks_cost_as_many_statements_as_one(in_acme: Tenant, count: int) -> None:
    checks = [make_check(f"Check {number}") for number in range(count)]
    events = [
        CheckWentDown(tenant_id=in_acme.id, check_id=check.id, flip_id=make_flip(check, State.DOWN, minute(0)).id)
        for check in checks
    ]

    with CaptureQueriesContext(connection) as captured:
        on_check_flipped(events)

    assert Outage.objects.count() == count
    # lock, known outages, new flips, outages, lines, events
    assert len([one for one in captured if "SAVEPOINT" not in one["sql"]]) == 7


def test_checks_that_came_up_without_an_outage_cost_one_look(in_acme: Tenant) -> None:
    checks = [make_check(f"Check {number}") for number in range(5)]
    events = [
        CheckWentUp(tenant_id=in_acme.id, check_id=check.id, flip_id=make_flip(check, State.UP, minute(0)).id)
        for check in checks
    ]

    with CaptureQueriesContext(connection) as captured:
        on_check_flipped(events)

    assert [one["sql"].startswith("\nSELECT watched.id") for one in captured] == [True]


@pytest.mark.parametrize("earlier", [[], [State.DOWN], [State.DOWN, State.UP], [State.DOWN, State.UNKNOWN]])
def test_look_finds_what_is_not_accounted_for(in_acme: Tenant, earlier: list[State]) -> None:
    """An event may come before an earlier one of its check: what nobody has accounted for concerns it."""
    check = make_check()
    for at, state in enumerate(earlier):
        make_flip(check, state, minute(at))
    make_flip(check, State.UP, minute(9))

    before = concerned_by_flips([check.id])
    account_for_flips([check.id])

    assert (before, concerned_by_flips([check.id])) == ({check.id} if earlier else set(), set())


def test_deleted_check_is_passed_over(in_acme: Tenant) -> None:
    check = make_check()
    flip = make_flip(check, State.DOWN, minute(0))
    event = CheckFlipped(tenant_id=in_acme.id, check_id=check.id, flip_id=flip.id)
    check.delete()

    on_check_flipped([event])

    assert outages() == []


def test_other_tenants_check_is_passed_over(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        check = make_check()
        flip = make_flip(check, State.DOWN, minute(0))

    with tenant_scope(acme.id):
        on_check_flipped([CheckFlipped(tenant_id=acme.id, check_id=check.id, flip_id=flip.id)])

    with tenant_scope(globex.id):
        assert outages() == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_one_outage(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        checks = [make_check(f"Check {number}") for number in range(5)]
        for check in checks:
            make_flip(check, State.DEGRADED, minute(0))
            make_flip(check, State.DOWN, minute(1))
            make_flip(check, State.UP, minute(2))

    def account_for_all() -> None:
        with tenant_scope(acme.id):
            for check in checks:
                account_for_flips([check.id])

    at_once(account_for_all, workers=4)

    with tenant_scope(acme.id):
        assert outages() == [(Severity.DOWN, minute(0), minute(2), "connect_refused")] * 5
        assert told() == {"incidents.outage_opened": 5, "incidents.outage_changed": 5, "incidents.outage_resolved": 5}


def test_what_got_worse_during_maintenance_that_nobody_knew_of_yet_was_no_outage(in_acme: Tenant) -> None:
    check = make_check()
    for state, at in ((State.DEGRADED, 1), (State.DOWN, 2), (State.MAINTENANCE, 0)):
        make_flip(check, state, minute(at))

    account_for_flips([check.id])

    assert (outages(), lines(), told()) == ([], [], {})
