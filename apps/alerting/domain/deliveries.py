"""What became of an alert's messages."""

from uuid import UUID

from apps.alerting.domain.facts import SUBJECT
from apps.alerting.models import Alert
from apps.core.tenancy import current_tenant_id
from apps.incidents.domain.timeline import write_entry
from apps.incidents.enums import EntryKind
from apps.live.domain.publish import publish
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Delivery

KINDS = {DeliveryState.SENT: EntryKind.DELIVERED, DeliveryState.FAILED: EntryKind.NOT_DELIVERED}


def note_delivery(delivery_id: UUID) -> None:
    """Put a delivery's end on its outage's timeline; one that is not about an alert, or not at an end, is passed over."""
    delivery = Delivery.objects.filter(id=delivery_id, subject_kind=SUBJECT).first()
    alert = Alert.objects.filter(id=delivery.subject_id).first() if delivery else None
    if delivery is None or alert is None:
        return
    publish(f"tenant:{current_tenant_id()}", [f"alert:{alert.id}", f"delivery:{delivery.id}"])
    kind = KINDS.get(DeliveryState(delivery.state))
    if kind and alert.outage_id:
        values = {"channel": delivery.channel_name, "title": delivery.message["title"], "reason": delivery.last_error}
        write_entry(outage_id=alert.outage_id, kind=kind, values={**values, "alert_id": str(alert.id)})
