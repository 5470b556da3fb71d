"""Tasks of this app."""

from celery import shared_task
from django.contrib.sessions.models import Session

from apps.core import clock


@shared_task(name="accounts.forget_old_sessions")
def forget_old_sessions() -> None:
    """Delete the sessions that have expired."""
    Session.objects.filter(expire_date__lt=clock.now()).delete()
