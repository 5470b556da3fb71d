"""Many workers at once: threads with connections of their own, as the worker process runs them."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from apps.core.tenancy import tenant_scope
from apps.notifications.channels import posting
from apps.notifications.channels.base import Message
from apps.notifications.channels.webhook import WebhookConfig
from apps.notifications.domain.channels import Draft, create_channel
from apps.notifications.domain.claiming import CHANNEL_SHARE
from apps.notifications.domain.planning import Plan, plan_deliveries, plan_delivery
from apps.notifications.domain.sending import deliver_due
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery, DeliveryAttempt
from apps.tenants.models import Tenant
from tests.peers.receiver import Heard, Receiver, Say, listening

pytestmark = pytest.mark.django_db(transaction=True)


def plan(name: str, receiver: Receiver, count: int) -> Channel:
    draft = Draft(name=name, config=WebhookConfig(url=receiver.url()))
    channel = create_channel(kind="webhook", draft=draft)
    plan_deliveries(Plan(channel, Message(title=name), f"{name}:{number}") for number in range(count))
    return channel


def run_in_threads(count: int, work: Callable[[], object]) -> list[threading.Thread]:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _number in range(count)]
    for thread in threads:
        thread.start()
    return threads


@contextmanager
def workers(count: int) -> Iterator[None]:
    """Run so many workers for the block, each looking for work again and again."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.02):
            deliver_due()

    threads = run_in_threads(count, work)
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)


def wait_until(is_met: Callable[[], bool], *, seconds: float) -> float:
    """Return how long it took."""
    began = time.monotonic()
    while not is_met():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def test_rival_workers_send_each_delivery_once(in_acme: Tenant, hints: list[str]) -> None:
    with listening() as receiver:
        plan("a", receiver, 15)
        plan("b", receiver, 15)

        with workers(6):
            wait_until(lambda: Delivery.objects.filter(state=DeliveryState.SENT).count() == 30, seconds=60)

        heard = Counter(request.headers["webhook-id"] for request in receiver.heard)
    assert heard == {f"{name}:{number}": 1 for name in "ab" for number in range(15)}
    assert Delivery.objects.filter(attempts=1).count() == 30


def test_hanging_receiver_delays_nobody_else(
    in_acme: Tenant, hints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "SEND_TIMEOUT", timedelta(seconds=60))
    with listening(Say(hangs=True)) as black_hole, listening() as fine:
        plan("hole", black_hole, 20)
        plan("fine", fine, 10)

        with workers(6):
            wait_until(lambda: Delivery.objects.filter(state=DeliveryState.SENT).count() == 10, seconds=50)
            held = len(black_hole.heard)
            tried = DeliveryAttempt.objects.filter(delivery__channel_name="hole").count()
            black_hole.closing.set()

    assert tried == 0  # all of "fine" arrived before the first hanging try was given up
    assert held == CHANNEL_SHARE


def test_share_of_a_channel_holds_under_rush(in_acme: Tenant, hints: list[str]) -> None:
    under_way, most, lock, are_two = 0, 0, threading.Lock(), threading.Event()

    def count(_number: int, _heard: Heard) -> Say:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            if most > 1:
                are_two.set()
        are_two.wait(5)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return Say()

    with listening(count) as receiver:
        plan("rush", receiver, 24)
        with workers(6):
            wait_until(lambda: Delivery.objects.filter(state=DeliveryState.SENT).count() == 24, seconds=60)

    assert 1 < most <= CHANNEL_SHARE


def test_rival_planners_of_one_key_get_one_row(in_acme: Tenant, hints: list[str]) -> None:
    ids: list[UUID] = []
    with listening() as receiver:
        channel = plan("a", receiver, 0)

        def plan_same() -> None:
            with tenant_scope(in_acme.id):
                ids.append(plan_delivery(channel=channel, message=Message(title="x"), key="alert:1").id)

        for thread in run_in_threads(6, plan_same):
            thread.join(60)

    assert len(ids) == 6
    assert set(ids) == {Delivery.objects.get().id}
