"""Tasks of deliveries."""

from celery import shared_task

from apps.notifications.domain import claiming, retention, sending
from apps.notifications.domain.planning import DELIVER_TASK


@shared_task(name=DELIVER_TASK)
def deliver() -> None:
    """Work off due deliveries; cheap when nothing is due."""
    sending.deliver_due()


@shared_task(name="notifications.straighten")
def straighten() -> None:
    """Send what a clock put off that was set back since."""
    claiming.straighten()
    sending.deliver_due()


@shared_task(name="notifications.forget_old_deliveries")
def forget_old_deliveries() -> None:
    """Keep the delivery log to 90 days."""
    retention.forget_old_deliveries()
