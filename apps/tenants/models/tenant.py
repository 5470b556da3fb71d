"""The tenant itself."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.ids import uuid7

SLUG = RegexValidator(
    r"^[a-z0-9]+(-[a-z0-9]+)*$", _("Use lower-case letters, digits and single hyphens, such as “acme-eu”.")
)


def known_time_zone(name: str) -> None:
    """Refuse a time zone that the tz database does not know."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(name)s” is not a time zone; write one such as Europe/Berlin."), params={"name": name}
        )


class Tenant(models.Model):
    """An organisation: the root that every tenant row belongs to. Itself without a tenant, so it holds nothing secret."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=100)
    slug = models.CharField(_("address"), max_length=50, unique=True, validators=[SLUG])
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[known_time_zone])
    allows_private_targets = models.BooleanField(
        _("private targets"),
        default=False,
        help_text=_("Checks and channels may reach loopback and private addresses. Set by the operator."),
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")

    def __str__(self) -> str:
        return self.name
