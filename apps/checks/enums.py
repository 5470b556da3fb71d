"""States and verdicts."""

from django.db.models import IntegerChoices, TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    """What a check is right now."""

    NEW = "new", _("New")
    UP = "up", _("Up")
    DEGRADED = "degraded", _("Degraded")
    DOWN = "down", _("Down")
    UNKNOWN = "unknown", _("Unknown")
    PAUSED = "paused", _("Paused")
    MAINTENANCE = "maintenance", _("Maintenance")


# States in which results are kept but judge nothing.
HELD_STATES = (State.PAUSED, State.MAINTENANCE)


class Verdict(IntegerChoices):
    """What one result says."""

    FAILURE = 0, _("Failed")
    SUCCESS = 1, _("OK")
    DEGRADED = 2, _("Slow")
    UNKNOWN = 3, _("Not measured")


class FalsePagePeriod(TextChoices):
    """In which time a check may page wrongly once; the confirmations needed follow from its own history."""

    WEEK = "week", _("week")
    MONTH = "month", _("month")
    QUARTER = "quarter", _("quarter")
    YEAR = "year", _("year")


class AgentState(TextChoices):
    """How an agent stands."""

    CONNECTED = "connected", _("Connected")
    SILENT = "silent", _("Silent")
    NEW = "new", _("Never seen")
    REVOKED = "revoked", _("Revoked")
