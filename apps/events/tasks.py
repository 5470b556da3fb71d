"""Tasks of the outbox."""

from celery import shared_task

from apps.events.domain import outbox


@shared_task(name=outbox.DELIVER_TASK)
def deliver() -> None:
    """Work off the outbox."""
    outbox.deliver_pending()
