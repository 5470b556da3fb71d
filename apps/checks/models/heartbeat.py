"""Heartbeats and their pings: what jobs reported by themselves."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.checks.models.check import Check, PerCheck
from apps.checks.types.heartbeat import Signal
from apps.core import clock
from apps.core.tenancy import TenantForeignKey, TenantKey, TenantManager, UnscopedManager
from apps.tenants.models import TenantModel

MAX_BODY_BYTES = 1_048_576


def new_token() -> str:
    """Return what a heartbeat's address ends with; one that moved in from another product keeps its own."""
    return str(uuid4())


class Heartbeat(PerCheck):
    """What is known of a job that reports by itself. Written with every ping; its state stands in `CheckState`."""

    token = models.CharField(max_length=64, default=new_token, editable=False)
    slug = models.CharField(max_length=100, blank=True)
    pings = models.PositiveBigIntegerField(default=0, help_text=_("How many pings were heard, ever."))
    last_ping_at = models.DateTimeField(null=True, help_text=_("The last success or failure."))
    last_start_at = models.DateTimeField(null=True)
    last_start_run = models.UUIDField(null=True)
    last_duration = models.DurationField(null=True)
    deadline_at = models.DateTimeField(null=True, help_text=_("From when on silence means down."))
    # While each ping moved a value in an index, it wrote an entry in every index.
    wake_at = models.DateTimeField(
        null=True, help_text=_("When the sweep has to look: no later than the deadline. The database sets it.")
    )
    is_doubtful = models.BooleanField(
        default=False, help_text=_("A ping may have been lost while this installation could not be reached.")
    )

    class Meta(PerCheck.Meta):
        # No `unique=True`: Django would add an index for LIKE, which each ping would have to keep.
        constraints = [models.UniqueConstraint(fields=["token"], name="checks_heartbeat_token")]  # a ping by token
        indexes = [
            models.Index(fields=["tenant", "slug"], name="checks_heartbeat_slug", condition=~Q(slug="")),  # by slug
            # the sweep: whose deadline may have passed
            models.Index(fields=["wake_at"], name="checks_heartbeat_wake", condition=Q(wake_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"heartbeat {self.pk}"


class PingKey(TenantModel):
    """What stands before the slug in a tenant's ping addresses."""

    key = models.CharField(max_length=40)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="checks_pingkey_one"),
            models.UniqueConstraint(fields=["key"], name="checks_pingkey_key"),  # a ping by key and slug
        ]

    def __str__(self) -> str:
        return f"…{self.key[-4:]}"


class Ping(models.Model):
    """One report of a job. The newest are kept, and of these the newest texts.

    The database knows no foreign keys of it, which it would ask at every ping. Who adds one holds the heartbeat's lock, and
    a trigger deletes pings with their heartbeat.
    """

    pk = models.CompositePrimaryKey("watched_id", "number")
    watched = TenantForeignKey(
        Check, models.DO_NOTHING, db_column="check_id", db_constraint=False, db_index=False, related_name="+"
    )
    tenant = TenantKey("tenants.Tenant", models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    number = models.BigIntegerField(help_text=_("Counts from one within the check."))
    at = models.DateTimeField()
    signal = models.CharField(max_length=7, choices=Signal.choices)
    exit_status = models.SmallIntegerField(null=True)
    run_id = models.UUIDField(null=True)
    duration = models.DurationField(null=True)
    method = models.CharField(max_length=10, blank=True)
    source_ip = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=200, blank=True)
    body_bytes = models.IntegerField(default=0, help_text=_("How long the text was that is or was kept."))
    body = models.BinaryField(null=True)

    objects = TenantManager["Ping"]()
    unscoped = UnscopedManager["Ping"]()

    class Meta:
        base_manager_name = "objects"
        indexes = [
            # forgetting old texts
            models.Index(fields=["watched", "-number"], name="checks_ping_with_text", condition=Q(body__isnull=False)),
            # the start of a run; a ping that names none writes no entry
            models.Index(
                fields=["watched", "run_id", "-number"], name="checks_ping_by_run", condition=Q(run_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"ping {self.number} of {self.watched_id}"

    @property
    def text(self) -> str:
        """Return the body as people read it; what is no UTF-8 is marked."""
        return bytes(self.body or b"").decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


class PingDoor(models.Model):
    """The ping doors' own sign of life: while it stands still, no report can be expected to have come in."""

    name = models.CharField(max_length=20, primary_key=True)
    seen_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name
