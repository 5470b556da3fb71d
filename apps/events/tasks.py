"""Tasks of the outbox."""

from celery import shared_task

from apps.events.domain import outbox


@shared_task(name=outbox.DELIVER_TASK)
def deliver() -> None:
    """Work off the outbox."""
    outbox.deliver_pending()


@shared_task(name="events.straighten")
def straighten() -> None:
    """Deliver what a clock put off that was set back since."""
    outbox.straighten()
    outbox.deliver_pending()
