"""From a flip to a planned message, through the outbox, as workers do it."""

import time

import pytest
from django.db import transaction

from apps.alerting.domain.rounds import consider_outage
from apps.alerting.domain.rules import RuleSettings, delete_rule, keep_rule, settings_of
from apps.alerting.enums import Trigger
from apps.alerting.models import Alert, AlertRule, AlertStep
from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.events import CheckWentDown
from apps.checks.models import Flip, Turn
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending, emit
from apps.events.models import OutboxRow
from apps.incidents.enums import EntryKind
from apps.incidents.models import Outage, OutageEntry
from apps.notifications.enums import DeliveryState
from apps.notifications.events import DeliveryFailed, DeliverySent
from apps.notifications.models import Channel, Delivery
from apps.tenants.models import Tenant
from tests.factories.alerting import make_channel, make_rule, messages
from tests.factories.checks import make_check, make_result
from tests.factories.incidents import make_flip, make_outage, minute
from tests.rivals import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is reminded; these tests work the outbox off themselves."""
    for module in ("events.domain.outbox", "notifications.domain.planning", "alerting.domain.reminding"):
        monkeypatch.setattr(f"apps.{module}.hint", lambda *_args, **_options: False)


def settle() -> None:
    """Work off every event; none may fail."""
    assert deliver_pending().failed == 0


def test_new_tenant_gets_one_rule_for_the_default_channels(acme: Tenant) -> None:
    settle()

    with tenant_scope(acme.id):
        rules = list(AlertRule.objects.values_list("name", "severities", "tags", "is_enabled", "notifies_on_resolve"))
        left = OutboxRow.objects.count()

    assert rules == [("Everything to the default channels", ["down", "degraded"], [], True, True)]
    assert left == 0


def test_failed_result_becomes_a_planned_message_and_its_recovery_another(acme: Tenant) -> None:
    settle()
    with tenant_scope(acme.id):
        check = make_check("API", state=State.UP, due_at=minute(0))
        Channel.objects.update(is_default=False)
        make_channel()

    for verdict in (Verdict.FAILURE, Verdict.SUCCESS):
        with tenant_scope(acme.id):
            Turn.objects.filter(watched=check).update(due_at=minute(verdict), claimable_at=minute(verdict))
            result = make_result(check, verdict)
        store_results([result])
        settle()

    with tenant_scope(acme.id):
        assert messages() == [("API is down", "Slack"), ("API recovered", "Slack")]
        assert list(Outage.objects.values_list("started_at", "ended_at")) == [(minute(0), minute(1))]
        assert list(Alert.objects.values_list("state", "starts_at", "ends_at")) == [("resolved", minute(0), minute(1))]


def test_two_handlers_at_once_make_one_alert_and_one_message(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_channel()
        make_rule()
        outages = [make_outage(make_check(f"Check {number}")) for number in range(4)]

    def consider_all() -> None:
        with tenant_scope(acme.id):
            for outage in outages:
                consider_outage(outage.id, Trigger.OPENED)

    at_once(consider_all, workers=4)

    with tenant_scope(acme.id):
        assert sorted(messages()) == [(f"Check {number} is down", "Slack") for number in range(4)]
        assert Alert.objects.count() == 4
        assert AlertStep.objects.filter(reason="planned").count() == 4


def test_two_workers_at_once_on_the_same_events_tell_once(acme: Tenant) -> None:
    settle()
    with tenant_scope(acme.id):
        Channel.objects.update(is_default=False)
        make_channel()
        checks = [make_check(f"Check {number}", state=State.UP) for number in range(6)]
        results = [make_result(check, Verdict.FAILURE) for check in checks]
    store_results(results)

    at_once(deliver_pending, workers=3)
    time.sleep(0.05)
    settle()

    with tenant_scope(acme.id):
        assert sorted(messages()) == [(f"Check {number} is down", "Slack") for number in range(6)]
        assert (Outage.objects.count(), Alert.objects.count()) == (6, 6)


def test_rule_made_during_an_outage_tells_of_it(acme: Tenant) -> None:
    settle()
    with tenant_scope(acme.id):
        delete_rule(AlertRule.objects.get())
        make_outage(make_check("API"))
        over = make_check("Over")
        make_outage(over, ended_at=minute(1))
    settle()

    with tenant_scope(acme.id):
        make_rule("Late", channels=[make_channel()])
    settle()

    with tenant_scope(acme.id):
        assert messages() == [("API is down", "Slack")]


def test_rule_switched_on_again_tells_what_got_worse_meanwhile(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        rule = make_rule(channels=[make_channel()])
        check = make_check("API")
        make_outage(check, severity=State.DEGRADED)
        consider_outage(Outage.objects.get().id, Trigger.OPENED)
        keep_rule(rule, settings_of(rule, is_enabled=False))
        make_flip(check, State.DOWN, minute(1))
        keep_rule(rule, RuleSettings(name="Again", channels=list(rule.channels.all())))
        emit_last_flip()
    settle()

    with tenant_scope(acme.id):
        assert [title for title, channel in messages() if channel == "Slack"] == ["API is degraded", "API is down"]


def emit_last_flip() -> None:
    flip = Flip.objects.latest("id")
    with transaction.atomic():
        emit(CheckWentDown(tenant_id=flip.tenant_id, check_id=flip.watched_id, flip_id=flip.id))


@pytest.mark.parametrize(
    ("event", "state", "error", "line"),
    [
        (DeliverySent, DeliveryState.SENT, "", EntryKind.DELIVERED),
        (DeliveryFailed, DeliveryState.FAILED, "404", EntryKind.NOT_DELIVERED),
    ],
)
def test_end_of_a_delivery_is_on_the_outages_timeline(
    acme: Tenant, event: type[DeliverySent | DeliveryFailed], state: DeliveryState, error: str, line: EntryKind
) -> None:
    with tenant_scope(acme.id):
        make_rule(channels=[make_channel()])
        consider_outage(make_outage(make_check("API")).id, Trigger.OPENED)
        delivery = Delivery.objects.get()
        Delivery.objects.update(state=state, last_error=error)
        with transaction.atomic():
            emit(event(tenant_id=acme.id, delivery_id=delivery.id))
    settle()

    with tenant_scope(acme.id):
        entry = OutageEntry.objects.get(kind=line)
        alert_id = str(Alert.objects.get().id)
    assert entry.values == {"channel": "Slack", "title": "API is down", "reason": error, "alert_id": alert_id}


def test_end_of_a_test_delivery_concerns_no_alert(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        channel = make_channel()
        fields = {"channel_name": "Slack", "channel_kind": "webhook", "message": {"title": "t"}}
        delivery = Delivery.objects.create(channel=channel, key="t", **fields)
        with transaction.atomic():
            emit(DeliverySent(tenant_id=acme.id, delivery_id=delivery.id))
    settle()

    with tenant_scope(acme.id):
        assert OutageEntry.objects.count() == 0


def test_other_tenants_alerts_are_left_alone(acme: Tenant, globex: Tenant) -> None:
    settle()
    with tenant_scope(globex.id):
        make_channel()
    with tenant_scope(acme.id):
        outage = make_outage(make_check("API"))

    with tenant_scope(globex.id):
        consider_outage(outage.id, Trigger.OPENED)

    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            assert Alert.objects.count() == 0
