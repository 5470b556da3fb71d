"""Silences: made, ended."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.alerting.domain.reminding import look_again_now
from apps.alerting.models import Silence
from apps.checks.models import Check
from apps.core import clock
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id
from apps.live.domain.publish import publish


class EndsTooEarly(Refusal):
    """A silence lasts."""

    message = _("A silence must end after it begins, and in the future.")
    field = "ends_at"


def create_silence(
    *,
    ends_at: datetime,
    actor: User | None,
    check: Check | None = None,
    tags: list[str] | None = None,
    reason: str = "",
    starts_at: datetime | None = None,
) -> Silence:
    """Hold back what a check, tags, or (with neither) anything would send until then."""
    now = clock.now()
    begin = starts_at or now
    if ends_at <= max(begin, now):
        raise EndsTooEarly
    silence: Silence = Silence.objects.create(
        watched=check, tags=tags or [], starts_at=begin, ends_at=ends_at, reason=reason, created_by=actor
    )
    _publish(silence)
    return silence


@transaction.atomic
def end_silence(*, silence_id: UUID) -> None:
    """End a silence now; what it held back is told if it still holds. One that is over stays as it is."""
    now = clock.now()
    silence = Silence.objects.select_for_update().get(id=silence_id)
    if silence.ends_at <= now:
        return  # rival: someone else ending it
    silence.ends_at = now
    silence.starts_at = min(silence.starts_at, now)
    silence.save(update_fields=["starts_at", "ends_at"])
    look_again_now()
    _publish(silence)


def _publish(silence: Silence) -> None:
    publish(f"tenant:{current_tenant_id()}", [f"silence:{silence.id}", "alert:*"])
