"""How bad, and what happened."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Severity(TextChoices):
    """What the outage did to the service."""

    DOWN = "down", _("Down")
    DEGRADED = "degraded", _("Degraded")


class EntryKind(TextChoices):
    """What a line of the timeline tells."""

    OPENED = "opened", _("Opened")
    WORSENED = "worsened", _("Went down")
    IMPROVED = "improved", _("Degraded only")
    RESOLVED = "resolved", _("Resolved")
    LOST_SIGHT = "lost_sight", _("No longer watched")
    UNSEEN = "unseen", _("Nothing measured")
    IN_MAINTENANCE = "in_maintenance", _("Maintenance began")
    SEEN_AGAIN = "seen_again", _("Still not well")
    NOTE = "note", _("Note")
    NOTIFIED = "notified", _("Notified")
    SILENCED = "silenced", _("Silenced")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    DELIVERED = "delivered", _("Delivered")
    NOT_DELIVERED = "not_delivered", _("Not delivered")


class Repeat(TextChoices):
    """How often a maintenance window takes place."""

    ONCE = "once", _("Once")
    WEEKLY = "weekly", _("On days of the week")
    CRON = "cron", _("By a cron expression")
