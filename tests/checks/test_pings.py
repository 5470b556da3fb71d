"""Stored pings: what they say, whose they are, and what they change."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db.models import F

from apps.checks.domain import ping_pruning
from apps.checks.domain.checks import Timing, create_check, pause_check, resume_check, update_check
from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.heartbeats import AddressTaken, heartbeat_facts, ping_key
from apps.checks.domain.pings import BySlug, Fate, NewPing, PingStore
from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Flip, Heartbeat, Ping
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.kinds import ConfigErrors, parse_config
from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxRow
from apps.tenants.models import Tenant
from tests.factories.api import make_api

pytestmark = pytest.mark.django_db
NOW = clock.now()  # as the suite begins: whatever looks at the real time as well, and cannot bear an hour, travels back
HOURLY = HeartbeatConfig(period_seconds=3_600, grace_seconds=600)
RUN = UUID(int=1)


@pytest.fixture
def scope(acme: Tenant) -> Iterator[Tenant]:
    with tenant_scope(acme.id):
        yield acme


GONE = {"schedule": "cron", "cron": "0 * * * *", "grace_seconds": 600, "time_zone": "Atlantis/Gone"}
UNREAD = {"schedule": "oncalendar", "on_calendar": "Mon 03:00\u2028Tue 03:00", "grace_seconds": 600}


def heartbeat(name: str = "Backup", config: HeartbeatConfig = HOURLY, **more: Any) -> Check:
    return create_check(name=name, kind="heartbeat", config=config, **more)


def token_of(check: Check) -> str:
    return Heartbeat.objects.get(watched=check).token


def ping(
    address: Any, signal: Signal = Signal.SUCCESS, *, minutes: float = 0, body: bytes = b"", **report: Any
) -> NewPing:
    at = NOW + timedelta(minutes=minutes)
    text = body.decode()
    return NewPing(address=address, report=Report(signal=signal, at=at, text=text, **report), body=body, method="GET")


def state_of(check: Check) -> str:
    return CheckState.objects.get(watched=check).state


def damage(check: Check, **fields: Any) -> None:
    """Have a check's settings open no more, as after its sealing key was thrown away."""
    Check.objects.filter(id=check.id).update(version=F("version") + 1, **(fields or {"secrets": "derived.AAAA"}))


def test_first_ping_makes_it_up_and_sets_the_deadline(scope: Tenant) -> None:
    check = heartbeat()

    stored = PingStore().store([ping(token_of(check))])

    kept, standing = Ping.objects.get(), Heartbeat.objects.get()
    assert (stored.fates, stored.changed) == ([Fate.STORED], {scope.id: {check.id}})
    assert (kept.watched_id, kept.number, kept.signal, kept.at, kept.method) == (check.id, 1, "success", NOW, "GET")
    assert (standing.pings, standing.last_ping_at) == (1, NOW)
    assert standing.deadline_at == NOW + timedelta(minutes=70)
    assert [(flip.before, flip.after, flip.at) for flip in Flip.objects.all()] == [("new", "up", Flip.objects.get().at)]
    assert state_of(check) == State.UP


def test_pings_of_one_batch_are_judged_in_their_order(scope: Tenant) -> None:
    check, other = heartbeat(), heartbeat("Other")
    mine, theirs = token_of(check), token_of(other)

    PingStore().store(
        [
            ping(mine, Signal.START, minutes=1, run_id=RUN),
            ping(theirs, Signal.SUCCESS, minutes=1),
            ping(mine, Signal.FAIL, minutes=2, exit_status=None),
            ping(mine, Signal.SUCCESS, minutes=3, exit_status=7),
            ping(mine, Signal.LOG, minutes=3, body=b"line"),
            ping(mine, Signal.SUCCESS, minutes=4),
        ]
    )

    assert [flip.after for flip in Flip.objects.filter(watched=check).order_by("sequence")] == ["down", "up"]
    assert [p.number for p in Ping.objects.filter(watched=check).order_by("number")] == [1, 2, 3, 4, 5]
    assert [p.signal for p in Ping.objects.filter(watched=check).order_by("number")] == [
        *("start", "fail", "fail", "log", "success")
    ]
    assert (state_of(check), state_of(other)) == (State.UP, State.UP)


def test_failure_and_exit_status_name_the_reason_and_tell_the_others(scope: Tenant) -> None:
    check, other = heartbeat(), heartbeat("Other")

    PingStore().store([ping(token_of(check), exit_status=3), ping(token_of(other), Signal.FAIL)])

    reasons = {flip.watched_id: (flip.error_code, flip.error_values) for flip in Flip.objects.all()}
    assert reasons == {check.id: ("heartbeat_exit_status", {"status": 3}), other.id: ("heartbeat_failed", {})}
    assert OutboxRow.objects.filter(event="checks.went_down").exists()


def test_text_and_duration_are_kept(scope: Tenant) -> None:
    check, store = heartbeat(), PingStore()

    store.store([ping(token_of(check), Signal.START, run_id=RUN)])
    store.store([ping(token_of(check), minutes=2, run_id=RUN, body=b"\x00all \xc3\xbc")])

    kept = Ping.objects.get(number=2)
    assert (bytes(kept.body), kept.body_bytes, kept.duration) == (b"\x00all \xc3\xbc", 7, timedelta(minutes=2))
    assert Heartbeat.objects.get().last_duration == timedelta(minutes=2)


def test_unknown_addresses_are_told_apart_and_store_nothing(scope: Tenant) -> None:
    heartbeat("Same"), heartbeat("Same")
    key = ping_key()

    stored = PingStore().store(
        [ping("nobody"), ping(BySlug(key, "same")), ping(BySlug(key, "other")), ping(BySlug("x", "same"))]
    )

    assert stored.fates == [Fate.NOT_FOUND, Fate.AMBIGUOUS, Fate.NOT_FOUND, Fate.NOT_FOUND]
    assert not Ping.objects.exists()


@pytest.mark.parametrize("broken", [{"secrets": "derived.AAAA"}, {"config": GONE}, {"config": UNREAD}])
def test_heartbeat_whose_settings_do_not_open_costs_no_other_a_ping(scope: Tenant, broken: dict[str, Any]) -> None:
    broken_check, sound = heartbeat("Broken"), heartbeat("Sound")
    store, mine, other = PingStore(), token_of(broken_check), token_of(sound)
    sound_config = broken_check.config
    damage(broken_check, **broken)

    stored = store.store([ping(mine), ping(other), ping("nobody"), ping(mine, Signal.FAIL)])

    assert stored.fates == [None, Fate.STORED, Fate.NOT_FOUND, None]
    assert stored.changed == {scope.id: {sound.id}}
    assert [kept.watched_id for kept in Ping.objects.all()] == [sound.id]
    assert (state_of(broken_check), state_of(sound)) == (State.NEW, State.UP)
    damage(broken_check, secrets="", config=sound_config)  # mended
    assert store.store([ping(mine)]).fates == [Fate.STORED]


def test_slug_counts_within_its_tenant_alone(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs, their_key = heartbeat(), ping_key()
    with tenant_scope(acme.id):
        mine, my_key = heartbeat(), ping_key()

    stored = PingStore().store([ping(BySlug(my_key, "backup"))])

    assert (stored.fates, stored.changed) == ([Fate.STORED], {acme.id: {mine.id}})
    assert my_key != their_key
    with tenant_scope(globex.id):
        assert (state_of(theirs), Ping.objects.count()) == (State.NEW, 0)


def test_changed_settings_are_known_at_the_next_ping(scope: Tenant) -> None:
    check, store = heartbeat(), PingStore()
    store.store([ping(token_of(check))])
    slower = HeartbeatConfig(period_seconds=7_200, grace_seconds=600)

    update_check(check, name="Backup", config=slower, timing=Timing(), tags=[])
    after_change = Heartbeat.objects.get().deadline_at
    store.store([ping(token_of(check), minutes=1)])

    assert after_change == NOW + timedelta(minutes=130)
    assert Heartbeat.objects.get().deadline_at == NOW + timedelta(minutes=131)


def test_deadline_that_new_settings_put_into_the_past_is_now(scope: Tenant) -> None:
    check = heartbeat()
    PingStore().store([ping(token_of(check), minutes=-30)])
    before = clock.now()

    stricter = HeartbeatConfig(period_seconds=60, grace_seconds=60)
    update_check(check, name="Backup", config=stricter, timing=Timing(), tags=[])

    deadline_at = Heartbeat.objects.get().deadline_at
    assert deadline_at is not None
    assert before <= deadline_at <= clock.now()


def test_pause_ends_every_expectation_and_a_ping_ends_the_pause(scope: Tenant) -> None:
    check, store = heartbeat(), PingStore()
    store.store([ping(token_of(check))])

    pause_check(check)
    assert (state_of(check), Heartbeat.objects.get().deadline_at) == (State.PAUSED, None)
    store.store([ping(token_of(check), minutes=5)])

    assert state_of(check) == State.UP


def test_manual_resume_ignores_pings_until_then(scope: Tenant) -> None:
    check, store = heartbeat(config=HeartbeatConfig(manual_resume=True)), PingStore()
    pause_check(check)
    store.store([ping(token_of(check))])
    assert (state_of(check), Ping.objects.get().signal) == (State.PAUSED, "ign")

    resume_check(check)
    store.store([ping(token_of(check), minutes=1)])

    assert state_of(check) == State.UP


def test_address_of_another_product_is_kept(scope: Tenant) -> None:
    check = heartbeat(config=HeartbeatConfig(address="Kx0y8KumaPushToken"))
    changed = HeartbeatConfig(address="3AE4A10C3D544B81B3061C48E0817CE4")

    assert PingStore().store([ping("Kx0y8KumaPushToken")]).fates == [Fate.STORED]
    update_check(check, name="Backup", config=changed, timing=Timing(), tags=[])
    assert PingStore().store([ping("3ae4a10c-3d54-4b81-b306-1c48e0817ce4")]).fates == [Fate.STORED]
    update_check(check, name="Backup", config=HOURLY, timing=Timing(), tags=[])
    assert token_of(check) == "3ae4a10c-3d54-4b81-b306-1c48e0817ce4"


def test_address_that_another_heartbeat_has_is_refused(acme: Tenant, globex: Tenant) -> None:
    taken = HeartbeatConfig(address="Kx0y8KumaPushToken")
    with tenant_scope(globex.id):
        heartbeat(config=taken)

    with tenant_scope(acme.id):
        mine = heartbeat()
        with pytest.raises(AddressTaken):
            heartbeat(config=taken)
        with pytest.raises(AddressTaken):
            update_check(mine, name="Backup", config=taken, timing=Timing(), tags=[])
        assert Check.objects.count() == 1
    given = {"name": "Backup", "kind": "heartbeat", "config": {"address": taken.address}}
    answer = make_api(acme).post("/api/v1/checks/", given)
    assert (answer.status_code, answer.json()["errors"]) == (409, {"config": {"address": [str(AddressTaken())]}})


@pytest.mark.parametrize("address", ["short", "a/b/c/d/e/f/g", "x" * 65, "white space here"])
def test_address_that_nobody_could_ping_is_refused(address: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(HeartbeatConfig, {"address": address})

    assert list(caught.value.errors) == ["address"]


def test_key_of_configuration_as_code_is_the_slug(scope: Tenant) -> None:
    check = heartbeat("Nightly backup", key="nightly")

    assert Heartbeat.objects.get(watched=check).slug == "nightly"


def test_facts_name_what_comes_next(scope: Tenant) -> None:
    check = heartbeat(config=HeartbeatConfig(schedule="cron", cron="0 3 * * *", time_zone="Europe/Berlin"))
    PingStore().store([ping(token_of(check), Signal.START)])

    with time_machine.travel(NOW, tick=False):
        facts = heartbeat_facts(Check.objects.select_related("checkstate").get())

    assert (facts.phase, facts.expected_at, len(facts.upcoming)) == ("started", None, 3)
    assert facts.upcoming[0] > NOW


def test_old_pings_and_texts_are_forgotten(scope: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("KEPT_PINGS", 4), ("KEPT_TEXTS", 3), ("KEPT_TEXT_BYTES", 25)):
        monkeypatch.setattr(ping_pruning, name, count)
    check, store = heartbeat(), PingStore()
    for number in range(1, 7):
        store.store([ping(token_of(check), minutes=number, body=b"x" * 10)])

    ping_pruning.prune_pings()

    kept = Ping.objects.order_by("number")
    assert [(p.number, p.body and len(p.body), p.body_bytes) for p in kept] == [
        *((3, None, 10), (4, None, 10)),
        *((5, 10, 10), (6, 10, 10)),
    ]
    store.store([ping(token_of(check), minutes=7)])
    assert Heartbeat.objects.get().pings == 7
