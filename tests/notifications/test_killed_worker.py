"""A worker process killed with SIGKILL after the receiver heard it and before it could note so."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from apps.core import clock
from apps.notifications.channels.base import Message
from apps.notifications.channels.webhook import WebhookConfig
from apps.notifications.domain.channels import Draft, create_channel
from apps.notifications.domain.planning import plan_delivery
from apps.notifications.domain.sending import deliver_due
from apps.notifications.enums import DeliveryState
from apps.notifications.models import DeliveryAttempt
from apps.tenants.models import Tenant
from tests.peers.receiver import Heard, Say, listening

WORKER = """
import django; django.setup()
from apps.notifications.domain.sending import deliver_due
deliver_due()
"""


@pytest.mark.django_db(transaction=True)
def test_killed_worker_costs_one_repeat_with_the_same_key_and_body(in_acme: Tenant, hints: list[str]) -> None:
    worker: list[subprocess.Popen[bytes]] = []

    def kill_the_first(number: int, _heard: Heard) -> Say:
        if number == 1:
            os.kill(worker[0].pid, signal.SIGKILL)
            worker[0].wait()
        return Say()

    with listening(kill_the_first) as receiver:
        channel = create_channel(kind="webhook", draft=Draft(name="Ops", config=WebhookConfig(url=receiver.url())))
        delivery = plan_delivery(channel=channel, message=Message(title="api is down"), key="alert:1")
        worker.append(subprocess.Popen([sys.executable, "-c", WORKER]))
        assert worker[0].wait(60) == -signal.SIGKILL
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts) == (DeliveryState.SENDING, 1)
        assert timedelta(0) < delivery.claimable_at - clock.now() < timedelta(seconds=12)
        assert deliver_due() == 0
        time.sleep(max((delivery.claimable_at - clock.now()).total_seconds() + 0.2, 0))

        assert deliver_due() == 1

    first, repeat = receiver.heard
    assert (first.headers["webhook-id"], first.body) == (repeat.headers["webhook-id"], repeat.body)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 2)
    assert DeliveryAttempt.objects.get().number == 2
