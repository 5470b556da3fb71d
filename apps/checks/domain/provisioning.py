"""Heartbeats that make themselves: the first ping to a slug that nobody has."""

from django.db import transaction

from apps.checks.domain.allowance import room_for_checks, too_many
from apps.checks.domain.checks import create_check
from apps.checks.domain.heartbeats import has_slug, lock_slugs
from apps.checks.types.heartbeat import HeartbeatCheck, HeartbeatConfig


@transaction.atomic
def provide_heartbeat(slug: str) -> bool:
    """Make a heartbeat of that slug with the usual settings unless there is one; return whether it was made.

    Raises `BeyondLimit` where there is none and the tenant's plan is used up.
    """
    room = room_for_checks()  # before the slugs, as `lock_plan` asks
    lock_slugs()  # rival: another first ping, which would make a second heartbeat of the same slug
    if has_slug(slug):
        return False
    if room is not None and room < 1:
        raise too_many(more=1, left=room)
    # As a setting: ``a--b`` and ``job-`` would become others if their slugs were made from their names.
    create_check(name=slug, kind=HeartbeatCheck.kind, config=HeartbeatConfig(slug=slug))
    return True
