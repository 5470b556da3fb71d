"""Words of this app."""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Severity(TextChoices):
    """How urgently a person should look."""

    CRITICAL = "critical", _("Critical")
    WARNING = "warning", _("Warning")
    INFO = "info", _("Info")


class MessageState(TextChoices):
    """What a message tells."""

    FIRING = "firing", _("Firing")
    RESOLVED = "resolved", _("Resolved")
    INFO = "info", _("Info")
    TEST = "test", _("Test")


class DeliveryState(TextChoices):
    """Where a delivery stands: waiting for its (next) try, being tried, or done in one of three ways."""

    PENDING = "pending", _("Waiting")
    SENDING = "sending", _("Sending")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.SENDING)
REPEATABLE_STATES = (DeliveryState.FAILED, DeliveryState.CANCELLED)


class SubjectKind(StrEnum):
    """Subjects this app itself writes about; higher apps name their own, such as ``alert``."""

    TEST = "test"
