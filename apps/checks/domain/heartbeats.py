"""Heartbeats as people handle them: made, changed, paused, resumed, moved in with their old addresses."""

import logging
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.flips import lock_states
from apps.checks.domain.heartbeat_leaving import leave_maintenance
from apps.checks.domain.heartbeat_rows import beat_of
from apps.checks.domain.heartbeat_rules import deadline, expected_at, phase
from apps.checks.domain.settings import UNREADABLE, config_of
from apps.checks.models import Check, Flip, Heartbeat, Ping, PingKey
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core import clock
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id

logger = logging.getLogger(__name__)

SLUG_LENGTH = 100
KEY_SIGNS = string.ascii_lowercase + string.digits
BATCH = 1_000
NOTHING_KNOWN = {"last_start_at": None, "last_start_run": None, "deadline_at": None, "is_doubtful": False}


class AddressTaken(Refusal):
    """Two heartbeats cannot have one address."""

    message = _("Another heartbeat has this address already. Leave it empty and give the job its new one.")
    field = "config.address"


class HeartbeatSource:
    """Where a heartbeat's state comes from: its pings, and their absence."""

    def begin(self, checks: Sequence[Check]) -> None:
        with _addresses_kept():
            Heartbeat.objects.bulk_create(map(_new_heartbeat, checks), batch_size=BATCH)
        ping_key()

    def settings_changed(self, checks: Sequence[Check], before: Mapping[UUID, Mapping[str, Any]]) -> None:
        """Expect the next reports by the new settings; what they made late is late from now on, not in the past."""
        ids = [check.id for check in checks]
        states = lock_states(ids)  # before the heartbeats, as pings lock them
        heartbeats = Heartbeat.objects.select_for_update().order_by("pk").in_bulk(ids)
        for check in checks:
            _expect(heartbeats[check.id], check, states[check.id].state)
        with _addresses_kept():
            Heartbeat.objects.bulk_update(heartbeats.values(), ["deadline_at", "slug", "token"], batch_size=BATCH)

    def pause(self, checks: Sequence[Check]) -> None:
        Heartbeat.objects.filter(watched__in=checks).update(**NOTHING_KNOWN)

    def resume(self, checks: Sequence[Check]) -> None:
        """Wait for the next report, however long it takes."""
        Heartbeat.objects.filter(watched__in=checks).update(last_ping_at=None, **NOTHING_KNOWN)

    def leave(self, checks: Sequence[Check], *, at: datetime) -> list[Flip]:
        return leave_maintenance([check.id for check in checks], at=at)


def _new_heartbeat(check: Check) -> Heartbeat:
    config = _config(check)
    given = {"token": config.token} if config.token else {}
    return Heartbeat(watched=check, slug=_slug_of(check, config), **given)


def _expect(heartbeat: Heartbeat, check: Check, state: str) -> None:
    config = _config(check)
    try:
        limit = deadline(beat_of(heartbeat, state), config)
        heartbeat.deadline_at = None if limit is None else max(limit, clock.now())
    except UNREADABLE:  # whoever renames it, or an editor of many, changes no schedule
        logger.exception("the settings of heartbeat %s cannot be read; its deadline stays", heartbeat.pk)
    if config.slug or check.key:
        heartbeat.slug = _slug_of(check, config)
    heartbeat.token = config.token or heartbeat.token


def _config(check: Check) -> HeartbeatConfig:
    return cast("HeartbeatConfig", config_of(check))


@contextmanager
def _addresses_kept() -> Iterator[None]:
    """Raise `AddressTaken` where an address that is kept within is another heartbeat's, perhaps of another tenant."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise AddressTaken from error


def _slug_of(check: Check, config: HeartbeatConfig) -> str:
    return config.slug or check.key or slugify(check.name)[:SLUG_LENGTH]


def new_ping_key() -> str:
    """Return a key of 113 random bits. Without capitals: some mailers write addresses as they like."""
    return "".join(secrets.choice(KEY_SIGNS) for _place in range(22))


@transaction.atomic
def ping_key() -> str:
    """Return what stands before the slug in this tenant's ping addresses; the first call makes it."""
    # Rival: a second heartbeat made at the same moment; one key per tenant is unique.
    fresh = PingKey(tenant_id=current_tenant_id(), key=new_ping_key())
    PingKey.objects.bulk_create([fresh], ignore_conflicts=True)
    return str(PingKey.objects.get().key)


@transaction.atomic
def lock_slugs() -> None:
    """Hold off others who would make a heartbeat by its slug, until the end of the transaction."""
    PingKey.objects.select_for_update().get()


def has_slug(slug: str) -> bool:
    """Tell whether the tenant has a heartbeat of that slug."""
    return Heartbeat.objects.filter(slug=slug).exists()


# --- Reading ------------------------------------------------------------------------------------------------------------

NEXT_SHOWN = 3


@dataclass(frozen=True, slots=True)
class HeartbeatFacts:
    """A heartbeat as its page and the API show it."""

    heartbeat: Heartbeat
    config: HeartbeatConfig | None  # None: they cannot be read, so its reports are not stored
    phase: str
    expected_at: datetime | None
    upcoming: list[datetime]


def heartbeat_facts(check: Check) -> HeartbeatFacts:
    """Return what is known of a heartbeat, and when its next reports are expected."""
    heartbeat, state = Heartbeat.objects.get(watched=check), check.checkstate.state
    try:
        config, now = _config(check), clock.now()
        beat, upcoming = beat_of(heartbeat, state), _upcoming(config, now)
        return HeartbeatFacts(heartbeat, config, phase(beat, config, now), expected_at(beat, config), upcoming)
    except UNREADABLE:
        logger.exception("the settings of heartbeat %s cannot be read", heartbeat.pk)
        return HeartbeatFacts(heartbeat, None, state, None, [])


def _upcoming(config: HeartbeatConfig, after: datetime) -> list[datetime]:
    """Return the next instants of a schedule that goes by the calendar."""
    found: list[datetime] = []
    at: datetime | None = after
    while len(found) < NEXT_SHOWN and at is not None:
        at = config.rhythm.following(at)
        if at is not None:
            found.append(at)
    return found


def find_pings(check: Check) -> QuerySet[Ping]:
    """Return the pings that are kept without their texts, newest first."""
    return Ping.objects.filter(watched=check).defer("body").order_by("-number")


def find_ping(check: Check, number: int) -> Ping | None:
    return Ping.objects.filter(watched=check, number=number).first()
