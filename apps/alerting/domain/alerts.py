"""Acknowledging alerts."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.alerting.enums import AlertState
from apps.alerting.models import Alert
from apps.core import clock
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id
from apps.incidents.domain.timeline import write_entry
from apps.incidents.enums import EntryKind
from apps.live.domain.publish import publish


class NotFiring(Refusal):
    """Only what fires can be taken on."""

    message = _("This alert is over.")


@transaction.atomic
def acknowledge(*, alert_id: UUID, actor: User | None) -> None:
    """Say that someone is on it: reminders stop. A second time changes nothing; raise `NotFiring` once it is over."""
    now = clock.now()
    # Rivals: a colleague doing the same, and a round that ends the alert.
    taken = Alert.objects.filter(id=alert_id, state=AlertState.FIRING).update(
        state=AlertState.ACKNOWLEDGED, acknowledged_by=actor, acknowledged_at=now, due_at=None
    )
    alert = Alert.objects.get(id=alert_id)
    if not alert.is_open:
        raise NotFiring
    if taken and alert.outage_id:
        values = {"rule": alert.rule_name, "alert_id": str(alert.id)}
        write_entry(outage_id=alert.outage_id, kind=EntryKind.ACKNOWLEDGED, values=values, author=actor)
    if taken:
        publish(f"tenant:{current_tenant_id()}", [f"alert:{alert_id}"])
