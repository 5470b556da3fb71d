"""Channels, what goes through them, and the proof of each try."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.notifications.enums import OPEN_STATES, DeliveryState
from apps.tenants.models import TenantModel


class Channel(TenantModel):
    """An address of some kind. ``config`` lies open, ``secrets`` is sealed, ``address`` says in lists where it leads."""

    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=40)
    config = models.JSONField(default=dict)
    secrets = models.TextField(blank=True)
    address = models.CharField(max_length=200, blank=True)
    is_default = models.BooleanField(
        _("default"), default=False, help_text=_("Alerts without a channel of their own go to every default channel.")
    )
    is_enabled = models.BooleanField(_("switched on"), default=True)
    disabled_reason = models.TextField(blank=True)  # in English, as all reasons here; translated where they are shown
    last_ok_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="notifications_channel_name_once")]

    def __str__(self) -> str:
        return self.name


class Delivery(TenantModel):
    """One message on its way through one channel. It outlives the channel, whose name and kind it therefore keeps.

    ``key`` is what the receiver sees as idempotency key, the same on every try. ``attempts`` counts claims and fences
    off a worker whose lease ran out; ``failures`` counts noted failures and sets the pace of retries.
    """

    channel = TenantForeignKey(Channel, on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False)
    channel_name = models.CharField(max_length=100)
    channel_kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    message = models.JSONField()
    subject_kind = models.CharField(max_length=40, blank=True)
    subject_id = models.UUIDField(null=True)
    state = models.CharField(max_length=12, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    claimable_at = models.DateTimeField(default=clock.now)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="notifications_delivery_key_once")]
        indexes = [
            # serves the claim: each channel's oldest open delivery, without walking through a channel's backlog
            models.Index(
                fields=["channel", "claimable_at"],
                name="notifications_delivery_open",
                condition=Q(state__in=OPEN_STATES),
            ),
            # serves the count of a channel's deliveries under way
            models.Index(
                fields=["channel", "claimable_at"],
                name="notifications_delivery_held",
                condition=Q(state=DeliveryState.SENDING),
            ),
            # serves a channel's log, newest first
            models.Index(fields=["channel", "id"], name="notifications_delivery_log"),
            # serves "what was sent about this alert"
            models.Index(fields=["tenant", "subject_kind", "subject_id"], name="notifications_delivery_subject"),
        ]

    @property
    def title(self) -> str:
        return str(self.message["title"])

    def __str__(self) -> str:
        return f"{self.message['title']} → {self.channel_name}"


class DeliveryAttempt(TenantModel):
    """One try, as it went: the delivery log."""

    delivery = TenantForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    is_ok = models.BooleanField()
    code = models.CharField(max_length=60, blank=True)
    status_code = models.PositiveIntegerField(null=True)
    detail = models.CharField(max_length=500, blank=True)
    duration_ms = models.PositiveIntegerField()

    class Meta(TenantModel.Meta):
        verbose_name = _("try")
        verbose_name_plural = _("tries")

    def __str__(self) -> str:
        return f"{self.number}: {self.code or self.status_code or ''}"
