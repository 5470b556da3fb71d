"""Named reads that the alerts above build on, and the tasks that workers run."""

from datetime import timedelta

import pytest

from apps.core.ids import uuid7
from apps.core.tenancy import tenant_scope
from apps.events.domain.schedule import schedule_table
from apps.notifications import tasks
from apps.notifications.channels.base import Message
from apps.notifications.channels.webhook import WebhookConfig
from apps.notifications.domain.channels import Draft, NameTaken, create_channel, update_channel
from apps.notifications.domain.planning import Subject, plan_delivery
from apps.notifications.domain.queries import (
    count_of_last_day,
    default_channels,
    deliveries_about,
    enabled_channels,
)
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery
from apps.tenants.models import Tenant
from tests.peers.receiver import listening


def make(name: str, *, is_default: bool = False, is_enabled: bool = True) -> Channel:
    return Channel.objects.create(name=name, kind="webhook", is_default=is_default, is_enabled=is_enabled)


def test_default_and_enabled_channels(in_acme: Tenant, globex: Tenant) -> None:
    a, b = make("a", is_default=True), make("b")
    off = make("off", is_default=True, is_enabled=False)
    with tenant_scope(globex.id):
        theirs = make("theirs", is_default=True)

    assert default_channels() == [a]
    assert enabled_channels([b.id, off.id, theirs.id]) == [b]


def test_deliveries_about_one_subject(in_acme: Tenant, hints: list[str]) -> None:
    channel, subject = make("a"), Subject("alert", uuid7())
    first = plan_delivery(channel=channel, message=Message(title="x"), key="a", subject=subject)
    plan_delivery(channel=channel, message=Message(title="x"), key="b", subject=Subject("alert", uuid7()))
    second = plan_delivery(channel=channel, message=Message(title="x"), key="c", subject=subject)

    assert deliveries_about("alert", subject.id) == [first, second]


def test_counts_of_the_last_day_by_state(in_acme: Tenant, hints: list[str]) -> None:
    channel = make("a")
    for key in "abc":
        plan_delivery(channel=channel, message=Message(title="x"), key=key)
    Delivery.objects.filter(key="c").update(state=DeliveryState.SENT)

    counts = count_of_last_day(channel.id)

    assert counts == {"pending": 2, "sending": 0, "sent": 1, "failed": 0, "cancelled": 0}


def test_renaming_to_a_taken_name_is_refused_and_changes_nothing(in_acme: Tenant) -> None:
    make("a")
    draft = Draft(name="b", config=WebhookConfig(url="https://hooks.example.com/in"))
    channel = create_channel(kind="webhook", draft=draft)

    with pytest.raises(NameTaken):
        update_channel(channel=channel, draft=Draft(name="a", config=draft.config))

    channel.refresh_from_db()
    assert channel.name == "b"


@pytest.mark.django_db(transaction=True)
def test_task_sends_what_is_due(in_acme: Tenant, hints: list[str]) -> None:
    with listening() as receiver:
        config = WebhookConfig(url=receiver.url())
        channel = create_channel(kind="webhook", draft=Draft(name="a", config=config))
        plan_delivery(channel=channel, message=Message(title="x"), key="alert:1")

        tasks.deliver()
        tasks.forget_old_deliveries()

        assert [heard.headers["webhook-id"] for heard in receiver.heard] == ["alert:1"]
    assert Delivery.objects.get().state == DeliveryState.SENT


def test_sweep_runs_every_second_on_the_queue_of_deliveries() -> None:
    job = schedule_table()["notifications.sweep"]

    assert (job.task, job.every, job.queue) == (tasks.deliver.name, timedelta(seconds=1), "deliveries")
