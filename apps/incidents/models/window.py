"""Maintenance windows: planned work, during which nothing counts as an outage."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.incidents.enums import Repeat
from apps.tenants.models import TenantModel

MIN_DURATION, MAX_DURATION = timedelta(minutes=1), timedelta(days=7)


class MaintenanceWindow(TenantModel):
    """When work is planned, on which checks, and whether customers are told.

    ``running_since_at`` to ``running_until_at`` is the occurrence that runs now, if any; ``next_edge_at`` is when that
    changes. Both follow from the plan and are kept so that one indexed question finds what there is to do.
    """

    name = models.CharField(_("name"), max_length=150)
    # Both came later than the table: the database fills them for a process of the release before that still runs.
    key = models.SlugField(
        _("key"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text=_("What configuration as code calls the window."),
    )
    managed_by = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text=_("The label of the document it comes from."),
    )
    description = models.TextField(_("description"), blank=True, max_length=2_000)
    repeat = models.CharField(_("repeats"), max_length=10, choices=Repeat.choices, default=Repeat.ONCE)
    time_zone = models.CharField(_("time zone"), max_length=64)
    duration = models.DurationField(_("duration"))
    starts_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When it begins; of a repeated one: nothing begins earlier.")
    )
    repeats_until_at = models.DateTimeField(null=True, blank=True, help_text=_("Nothing begins from then on."))
    weekdays: ArrayField[Any, Any] = ArrayField(
        models.SmallIntegerField(), default=list, blank=True, help_text=_("0 is Monday.")
    )
    time_of_day = models.TimeField(null=True, blank=True)
    cron = models.CharField(max_length=100, blank=True)
    covers_all = models.BooleanField(_("every check"), default=False)
    tags: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    checks = models.ManyToManyField(Check, through="WindowCheck", related_name="+")
    is_public = models.BooleanField(_("shown on status pages"), default=True)
    cut_off_at = models.DateTimeField(null=True, help_text=_("What had begun by then ended then at the latest."))
    running_since_at = models.DateTimeField(null=True)
    running_until_at = models.DateTimeField(null=True)
    last_ended_at = models.DateTimeField(null=True)
    next_edge_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("maintenance window")
        verbose_name_plural = _("maintenance windows")
        constraints = [
            models.CheckConstraint(
                condition=Q(duration__gte=MIN_DURATION, duration__lte=MAX_DURATION), name="incidents_window_lasts"
            ),
            models.UniqueConstraint(fields=["tenant", "key"], condition=~Q(key=""), name="incidents_window_one_of_key"),
        ]
        indexes = [
            models.Index(fields=["next_edge_at"], name="incidents_window_edge"),  # the job: whose edge has come
            # what runs now: the job, each list of a page
            models.Index(
                fields=["tenant", "running_until_at"],
                name="incidents_window_running",
                condition=Q(running_until_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_running(self) -> bool:
        return self.running_until_at is not None and self.running_until_at > clock.now()


class WindowCheck(TenantModel):
    """A check that a window names."""

    window = TenantForeignKey(MaintenanceWindow, on_delete=models.CASCADE, related_name="window_checks", db_index=False)
    watched = TenantForeignKey(Check, on_delete=models.CASCADE, related_name="+", db_column="check_id")

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["window", "watched"], name="incidents_window_check_once")]

    def __str__(self) -> str:
        return f"{self.window_id}: {self.watched_id}"
