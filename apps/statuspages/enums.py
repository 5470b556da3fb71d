"""The words of a status page. Values are Statuspage's, so that its clients understand ours."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class ComponentStatus(TextChoices):
    """How a component is."""

    OPERATIONAL = "operational", _("Operational")
    DEGRADED = "degraded_performance", _("Degraded performance")
    PARTIAL_OUTAGE = "partial_outage", _("Partial outage")
    MAJOR_OUTAGE = "major_outage", _("Outage")
    MAINTENANCE = "under_maintenance", _("Under maintenance")
    UNKNOWN = "unknown", _("No data")  # not one of Statuspage's: nothing is measured, and we say so

    @property
    def sign(self) -> str:
        """The state whose colour and shape stands for it (docs/design.md)."""
        return SIGNS[self]


SIGNS = {
    ComponentStatus.OPERATIONAL: "up",
    ComponentStatus.DEGRADED: "degraded",
    ComponentStatus.PARTIAL_OUTAGE: "down",
    ComponentStatus.MAJOR_OUTAGE: "down",
    ComponentStatus.MAINTENANCE: "maintenance",
    ComponentStatus.UNKNOWN: "unknown",
}


class Indicator(TextChoices):
    """How the page is as a whole."""

    NONE = "none", _("All systems operational")
    MAINTENANCE = "maintenance", _("Maintenance under way")
    MINOR = "minor", _("Degraded performance")
    MAJOR = "major", _("Partial outage")
    CRITICAL = "critical", _("Major outage")


class Theme(TextChoices):
    """The colours a visitor meets first; each visitor may choose others."""

    SYSTEM = "system", _("As the visitor's system")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")
