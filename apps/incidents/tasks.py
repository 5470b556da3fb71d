"""Tasks of incidents."""

from celery import shared_task

from apps.incidents.domain import maintenance_edges


@shared_task(name=maintenance_edges.APPLY_TASK)
def apply_maintenance() -> None:
    """Bring checks into maintenance and out of it again."""
    maintenance_edges.apply_edges()
