"""What became of an alert's messages."""

from collections.abc import Collection
from uuid import UUID

from apps.alerting.domain.facts import SUBJECT
from apps.alerting.models import Alert
from apps.core.tenancy import current_tenant_id
from apps.incidents.domain.timeline import Line, write_entries
from apps.incidents.enums import EntryKind
from apps.live.domain.publish import publish
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Delivery

KINDS = {DeliveryState.SENT: EntryKind.DELIVERED, DeliveryState.FAILED: EntryKind.NOT_DELIVERED}


def note_deliveries(delivery_ids: Collection[UUID]) -> None:
    """Put deliveries' ends on their outages' timelines; those not about an alert, or not at an end, are passed over."""
    deliveries = list(Delivery.objects.filter(id__in=delivery_ids, subject_kind=SUBJECT).order_by("id"))
    alerts = Alert.objects.in_bulk([delivery.subject_id for delivery in deliveries]) if deliveries else {}
    told = [(delivery, alerts[delivery.subject_id]) for delivery in deliveries if delivery.subject_id in alerts]
    if not told:
        return
    publish(
        f"tenant:{current_tenant_id()}",
        [live_id for delivery, alert in told for live_id in (f"alert:{alert.id}", f"delivery:{delivery.id}")],
    )
    write_entries([line for delivery, alert in told if (line := _line(delivery, alert))])


def _line(delivery: Delivery, alert: Alert) -> Line | None:
    kind = KINDS.get(DeliveryState(delivery.state))
    if not kind or not alert.outage_id:
        return None
    values = {"channel": delivery.channel_name, "title": delivery.message["title"], "reason": delivery.last_error}
    return Line(alert.outage_id, kind, {**values, "alert_id": str(alert.id)})
