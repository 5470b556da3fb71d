"""Tasks of deliveries."""

from celery import shared_task

from apps.notifications.domain import sending
from apps.notifications.domain.planning import DELIVER_TASK


@shared_task(name=DELIVER_TASK)
def deliver() -> None:
    """Work off due deliveries; cheap when nothing is due."""
    sending.deliver_due()
