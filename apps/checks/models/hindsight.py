"""What late results say of times that nobody seemed to have seen."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import State
from apps.checks.models.check import Check, PerCheck
from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.tenants.models import TenantModel


class Hindsight(TenantModel):
    """A time that the check's flips call unknown, and what it was after all.

    Flips are never changed for it: they are a queue as well as history, and nobody is told about the past. Outside times
    that flips call unknown such a row counts for nothing.
    """

    watched = TenantForeignKey(Check, on_delete=models.CASCADE, db_column="check_id", related_name="+", db_index=False)
    since_at = models.DateTimeField()
    until_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State.choices, help_text=_("Up, degraded or down."))

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["watched", "until_at"], name="checks_hindsight_days")
        ]  # the last days of checks

    def __str__(self) -> str:
        return f"{self.state} from {self.since_at} to {self.until_at}"


class LookBack(PerCheck):
    """A check of which results came late, from when to when, and when to look what they make of that time."""

    since_at = models.DateTimeField()
    until_at = models.DateTimeField()
    noted_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.watched_id} at {self.due_at}"
