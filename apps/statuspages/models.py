"""A status page and what it shows."""

from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.statuspages.enums import Theme
from apps.tenants.models import TenantModel
from apps.tenants.models.tenant import SLUG

WEB_ADDRESS = URLValidator(schemes=["http", "https"])


class StatusPage(TenantModel):
    """What a tenant tells the world. Everything in it is public once it is published."""

    title = models.CharField(_("title"), max_length=100, help_text=_("Your name, as your customers know it."))
    slug = models.CharField(
        _("address"),
        max_length=60,
        unique=True,
        validators=[SLUG],
        help_text=_("The last part of the page's address. Links to the old address stop working when you change it."),
    )
    description = models.TextField(
        _("description"), blank=True, max_length=500, help_text=_("A sentence or two above the components.")
    )
    is_published = models.BooleanField(_("published"), default=True, help_text=_("Everybody may see the page."))
    theme = models.CharField(_("colours"), max_length=10, choices=Theme.choices, default=Theme.SYSTEM)
    shows_uptime = models.BooleanField(_("show 90 days of uptime"), default=True)
    support_url = models.URLField(_("support address"), blank=True, max_length=500, validators=[WEB_ADDRESS])
    version = models.PositiveBigIntegerField(default=1, help_text=_("Grows with all that changes what the page shows."))
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("status page")
        verbose_name_plural = _("status pages")

    def __str__(self) -> str:
        return self.title


class Component(TenantModel):
    """A part of the service as customers know it, watched by a check."""

    page = TenantForeignKey(StatusPage, on_delete=models.CASCADE, related_name="components", db_index=False)
    watched = TenantForeignKey(
        Check, on_delete=models.CASCADE, db_column="check_id", related_name="components", db_index=False
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("What your customers read."))
    description = models.CharField(_("description"), max_length=300, blank=True)
    group = models.CharField(
        _("group"), max_length=100, blank=True, help_text=_("Components of one group stand together.")
    )
    position = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("component")
        verbose_name_plural = _("components")
        indexes = [models.Index(fields=["page", "position"], name="statuspages_in_order")]  # a page's components
        constraints = [
            # Its index also serves "which pages show this check?". Deferred, so that two components may swap their checks.
            models.UniqueConstraint(
                fields=["watched", "page"], name="statuspages_component_once", deferrable=models.Deferrable.DEFERRED
            ),
        ]

    def __str__(self) -> str:
        return self.name
