"""What a check is, and how it came to be so."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func, Q, Value
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import State
from apps.checks.models.check import Check, PerCheck
from apps.checks.models.fields import RealField
from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.tenants.models import TenantModel

FLIP_SEQUENCE = "checks_flip_sequence"


class CheckState(PerCheck):
    """What the check is now, and since when. Written only when that changes."""

    state = models.CharField(max_length=12, choices=State.choices, default=State.NEW)
    since_at = models.DateTimeField(default=clock.now)
    is_flapping = models.BooleanField(default=False)
    flapping_since_at = models.DateTimeField(null=True)

    class Meta(PerCheck.Meta):
        indexes = [
            # the job that looks whether they have calmed down
            models.Index(fields=["watched"], name="checks_state_flapping", condition=Q(is_flapping=True)),
            # the job that ends maintenance
            models.Index(fields=["watched"], name="checks_state_maintained", condition=Q(state=State.MAINTENANCE)),
        ]

    def __str__(self) -> str:
        return self.state


class Flip(TenantModel):
    """A change of state: the fact that everything else reacts to."""

    watched = TenantForeignKey(
        Check, on_delete=models.CASCADE, db_column="check_id", related_name="flips", db_index=False
    )
    at = models.DateTimeField(help_text=_("When it became true: for an outage the first failed result."))
    before = models.CharField(max_length=12, choices=State.choices)
    after = models.CharField(max_length=12, choices=State.choices)
    error_code = models.CharField(max_length=40, blank=True)
    error_values = models.JSONField(default=dict)
    noticed_at = models.DateTimeField(default=clock.now)
    # The order in which flips of a check came about: clocks of several machines cannot tell it.
    sequence = models.BigIntegerField(editable=False, db_default=Func(Value(FLIP_SEQUENCE), function="nextval"))
    regions: ArrayField[Any, Any] = ArrayField(
        models.SmallIntegerField(), default=list, help_text=_("The regions that say so.")
    )
    confidence_ratio = RealField(null=True, help_text=_("How sure we are that it is no false alarm."))

    class Meta(TenantModel.Meta):
        indexes = [
            models.Index(fields=["watched", "sequence"], name="checks_flip_in_order"),  # a check's history, in order
            # the last days of many checks, from the index alone
            models.Index(
                fields=["watched", "at"], include=["tenant", "sequence", "before", "after"], name="checks_flip_days"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
