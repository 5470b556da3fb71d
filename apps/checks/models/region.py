"""Regions: the places that probes start from."""

from django.db import models
from django.utils.translation import gettext_lazy as _

# The installation's own region, made by the migration; the one a check has when nobody chose.
MAIN_REGION = 1


class Region(models.Model):
    """A place that probes start from. Shared ones serve every tenant; a private one serves the tenant whose agent points to
    it, and bears its name there, so that nothing here tells of a tenant."""

    id = models.SmallAutoField(primary_key=True)
    code = models.SlugField(_("code"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=100, blank=True)
    is_private = models.BooleanField(default=False)
    # Kept by the region's prober: when it last gave a sign of life, and since when its own control targets fail.
    seen_at = models.DateTimeField(null=True)
    sick_since_at = models.DateTimeField(null=True)
    has_controls = models.BooleanField(
        null=True, help_text=_("Whether its prober was given any; null where it has not told.")
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name or self.code

    @property
    def shown_name(self) -> str:
        """What the open tenant calls it: an agent's region bears the agent's name. Read it with its ``agent``."""
        agent = getattr(self, "agent", None) if self.is_private else None
        return agent.name if agent else str(self)


class SickSpell(models.Model):
    """A time in which a region's control targets failed: what its probes saw then says nothing of the checks."""

    region = models.ForeignKey(Region, on_delete=models.CASCADE, related_name="sick_spells", db_index=False)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    failed_controls = models.JSONField(default=list, help_text=_("Which control targets failed, and why."))

    class Meta:
        indexes = [models.Index(fields=["region", "-began_at"], name="checks_sickspell_of_region")]

    def __str__(self) -> str:
        return f"{self.region_id} since {self.began_at}"
