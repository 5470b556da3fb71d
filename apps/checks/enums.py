"""States and verdicts."""

from django.db.models import IntegerChoices, TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    """What a check is right now."""

    UP = "up", _("Up")
    DEGRADED = "degraded", _("Degraded")
    DOWN = "down", _("Down")
    UNKNOWN = "unknown", _("Unknown")
    PAUSED = "paused", _("Paused")


class Verdict(IntegerChoices):
    """What one result says."""

    FAILURE = 0, _("Failed")
    SUCCESS = 1, _("OK")
    DEGRADED = 2, _("Slow")
    UNKNOWN = 3, _("Not measured")
