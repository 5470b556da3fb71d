"""Tasks of alerting."""

from celery import shared_task

from apps.alerting.domain import reminding, straightening


@shared_task(name=reminding.REEVALUATE_TASK)
def reevaluate() -> None:
    """Look again at what time alone may have changed."""
    reminding.reevaluate_due()


@shared_task(name="alerting.straighten")
def straighten() -> None:
    """Look again at alerts that were told by a clock which was set back since."""
    straightening.straighten()
    reminding.reevaluate_due()
