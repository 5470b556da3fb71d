"""Tasks of the outbox."""

from uuid import UUID

from celery import shared_task

from apps.events.domain import outbox


@shared_task(name=outbox.DELIVER_TASK)
def deliver(tenant_id: str | None = None) -> None:
    """Work off the outbox; ``tenant_id`` is whose news there is."""
    outbox.deliver_pending(UUID(tenant_id) if tenant_id else None)


@shared_task(name="events.straighten")
def straighten() -> None:
    """Deliver what a clock put off that was set back since."""
    outbox.straighten()
    outbox.deliver_pending()
