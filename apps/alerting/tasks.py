"""Tasks of alerting."""

from celery import shared_task

from apps.alerting.domain import reminding


@shared_task(name=reminding.REEVALUATE_TASK)
def reevaluate() -> None:
    """Look again at what time alone may have changed."""
    reminding.reevaluate_due()
