"""A check: what people edit."""

from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import FalsePagePeriod
from apps.checks.models.region import MAIN_REGION
from apps.core import clock
from apps.core.tenancy import TenantKey, TenantManager, TenantOneToOneField, UnscopedManager
from apps.tenants.models import TenantModel

if TYPE_CHECKING:
    from apps.checks.models.turn import Turn

MIN_INTERVAL_SECONDS = 10
MAX_INTERVAL_SECONDS = 86_400


def main_region_only() -> list[int]:
    """Return the regions of a check for which nobody chose any."""
    return [MAIN_REGION]


class Check(TenantModel):
    """Something that is watched."""

    name = models.CharField(_("name"), max_length=150)
    key = models.SlugField(
        _("key"), max_length=100, blank=True, help_text=_("What configuration as code calls the check.")
    )
    kind = models.CharField(_("kind"), max_length=40)
    config = models.JSONField(help_text=_("The kind's settings, without secrets."))
    secrets = models.TextField(blank=True, help_text=_("The kind's secret settings, sealed."))
    target = models.CharField(_("target"), max_length=2_000, help_text=_("What people see of the address."))
    version = models.PositiveIntegerField(
        default=1, help_text=_("Grows with every change; probers keep settings by it.")
    )
    interval_seconds = models.PositiveIntegerField(
        _("interval"),
        default=60,
        validators=[MinValueValidator(MIN_INTERVAL_SECONDS), MaxValueValidator(MAX_INTERVAL_SECONDS)],
    )
    timeout_seconds = models.PositiveIntegerField(
        _("timeout"), default=10, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    retries = models.PositiveIntegerField(_("retries"), default=1, validators=[MaxValueValidator(10)])
    retry_interval_seconds = models.PositiveIntegerField(
        _("retry interval"), default=5, validators=[MinValueValidator(1), MaxValueValidator(3_600)]
    )
    degraded_ms = models.PositiveIntegerField(
        _("degraded above"), null=True, blank=True, validators=[MaxValueValidator(60_000)]
    )
    recoveries = models.PositiveIntegerField(
        _("recoveries"), default=1, validators=[MinValueValidator(1), MaxValueValidator(10)]
    )
    false_page_period = models.CharField(
        _("at most one false page per"), max_length=10, choices=FalsePagePeriod.choices, blank=True
    )
    regions: ArrayField[Any, Any] = ArrayField(models.SmallIntegerField(), default=main_region_only)
    confirmations = models.PositiveSmallIntegerField(
        _("confirmations"), default=1, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )
    tags: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("check")
        verbose_name_plural = _("checks")
        indexes = [
            models.Index(fields=["tenant", "name"], name="checks_check_by_name"),  # the list, sorted
            GinIndex(fields=["tags"], name="checks_check_tags"),  # the list's tag filter
            # every flip asks for its tenant's groups, which are few or none among thousands
            models.Index(fields=["tenant", "id"], name="checks_check_groups", condition=Q(kind="group")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], condition=~Q(key=""), name="checks_check_one_of_key")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def live_id(self) -> str:
        """What live updates call this check."""
        return f"check:{self.id}"

    @property
    def latest_turn(self) -> "Turn | None":
        """Return the region's turn with the newest result; reads ``turns``, so prefetch them for lists."""
        measured = [(turn.last_result_at, turn) for turn in self.turns.all() if turn.last_result_at]
        return max(measured, key=itemgetter(0))[1] if measured else None

    @property
    def last_result_at(self) -> datetime | None:
        return self.latest_turn.last_result_at if self.latest_turn else None

    @property
    def last_ms(self) -> float | None:
        return self.latest_turn.last_ms if self.latest_turn else None

    @property
    def last_error(self) -> str:
        return self.latest_turn.last_error if self.latest_turn else ""

    @property
    def next_due_at(self) -> datetime | None:
        """Return when the next region's turn is; None while paused or where nothing is probed."""
        return min((turn.due_at for turn in self.turns.all() if turn.claimable_at), default=None)


class PerCheck(models.Model):
    """A narrow row that lives beside its check, keyed by it."""

    watched = TenantOneToOneField(
        Check, on_delete=models.CASCADE, primary_key=True, db_column="check_id", related_name="%(class)s"
    )
    tenant = TenantKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)

    objects = TenantManager[Any]()
    unscoped = UnscopedManager[Any]()

    class Meta:
        abstract = True
        base_manager_name = "objects"
