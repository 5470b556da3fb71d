"""The log of old deliveries is forgotten, of every tenant and nothing else."""

from datetime import timedelta
from uuid import UUID

import pytest

from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.notifications.domain import retention
from apps.notifications.domain.retention import forget_old_deliveries
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery, DeliveryAttempt
from apps.tenants.models import Tenant


def make_delivery(channel: Channel, *, days: int, state: DeliveryState, number: int) -> None:
    at = clock.now() - timedelta(days=days)
    delivery = Delivery.objects.create(
        id=UUID(int=(int(at.timestamp() * 1000) << 80) + number),
        channel=channel,
        channel_name="Ops",
        channel_kind="webhook",
        key=f"{days}:{state}:{number}",
        message={"title": "x"},
        state=state,
    )
    DeliveryAttempt.objects.create(delivery=delivery, number=1, at=at, is_ok=True, duration_ms=1)


def test_old_and_done_is_forgotten(acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            channel = Channel.objects.create(name="Ops", kind="webhook")
            for number in range(3):
                make_delivery(channel, days=91, state=DeliveryState.SENT, number=number)
            make_delivery(channel, days=91, state=DeliveryState.PENDING, number=5)
            make_delivery(channel, days=89, state=DeliveryState.FAILED, number=6)

    assert forget_old_deliveries() == 6

    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            assert list(Delivery.objects.order_by("id").values_list("key", flat=True)) == [
                "91:pending:5",
                "89:failed:6",
            ]
            assert DeliveryAttempt.objects.count() == 2
