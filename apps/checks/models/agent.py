"""Agents: programs of a tenant that probe from its own network."""

from datetime import timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.checks.models.check import Check
from apps.checks.models.region import Region
from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.tenants.models import TenantModel

# So long after a lost turn it is called overloaded.
OVERLOADED_FOR = timedelta(minutes=5)


class Agent(TenantModel):
    """A tenant's own prober, and the private region that its turns lie in. Any number of processes may run with its token.

    Of the token's secret only SHA-256 hashes are kept (it holds 256 random bits, so a slow hash adds nothing).
    """

    name = models.CharField(_("name"), max_length=80)
    code = models.SlugField(_("code"), max_length=60, help_text=_("What checks, the API and configuration call it."))
    region = models.OneToOneField(Region, on_delete=models.PROTECT, related_name="agent")
    secret_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, blank=True)
    previous_ends_at = models.DateTimeField(null=True, help_text=_("Until when the token before this one opens, too."))
    created_at = models.DateTimeField(default=clock.now, editable=False)
    revoked_at = models.DateTimeField(null=True)
    version = models.CharField(max_length=40, blank=True, help_text=_("What it said of itself last."))
    buffered = models.PositiveIntegerField(default=0, help_text=_("Results that it holds and could not hand in yet."))
    dropped = models.PositiveBigIntegerField(
        default=0, help_text=_("What it handed in for checks that are not its own, or for times it cannot have seen.")
    )
    # What it may be asked for, in its own words; null where it has not told.
    kinds: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=60), null=True, help_text=_("Which kinds of checks it runs.")
    )
    is_limited = models.BooleanField(null=True, help_text=_("Whether it has an allow-list."))
    allow_list: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=80), null=True, help_text=_("What it may probe, where it tells.")
    )
    lost = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text=_("Turns whose time had passed before it could start them.")
    )
    lost_at = models.DateTimeField(null=True, help_text=_("When it told of lost turns last."))
    late_ms = models.PositiveIntegerField(
        default=0, db_default=0, help_text=_("How late the latest start was before its last sign of life.")
    )
    heartbeat = TenantForeignKey(
        Check,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text=_("The check that tells of its silence."),
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        constraints = [models.UniqueConstraint(fields=["tenant", "code"], name="checks_agent_one_of_code")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_overloaded(self) -> bool:
        return self.lost_at is not None and clock.now() - self.lost_at < OVERLOADED_FOR

    @property
    def live_id(self) -> str:
        """What live updates call this agent."""
        return f"agent:{self.id}"
