"""Doing one thing to many checks at once, in a handful of statements however many they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.allowance import require_resumable
from apps.checks.domain.flips import flip, lock_states, now_as, record_flips
from apps.checks.domain.tags import clean_tags
from apps.checks.domain.unprobed import source_of
from apps.checks.enums import State
from apps.checks.models import Check, Turn
from apps.core import clock

# Many that go on at once begin spread over so much of their interval.
SPREAD_SECONDS = 60
BATCH = 500


class BulkAction(TextChoices):
    """What can be done to many checks."""

    PAUSE = "pause", _("Pause")
    RESUME = "resume", _("Resume")
    TAG = "tag", _("Add tag")
    UNTAG = "untag", _("Remove tag")
    DELETE = "delete", _("Delete")


@transaction.atomic
def act_on(checks: Iterable[Check], action: BulkAction, *, tags: Sequence[str] = ()) -> int:
    """Do it to each of the open tenant's checks and return how many it changed; those that are so already are passed over.

    Raises `ValidationError` where a check would get too many tags, and `BeyondLimit` where the tenant's plan does not let
    paused checks go on; then none is changed.
    """
    return ACTIONS[action](list(checks), tags)


def _pause(checks: list[Check], _tags: Sequence[str]) -> int:
    changed = _change_states(checks, State.PAUSED, lambda state: state != State.PAUSED)
    probed = [check.id for check in changed if not source_of(check)]
    Turn.objects.filter(watched_id__in=probed).update(claimable_at=None)
    for check in changed:
        if source := source_of(check):
            source.pause(check)
    return len(changed)


def _resume(checks: list[Check], _tags: Sequence[str]) -> int:
    ids = [check.id for check in checks]
    paused = Check.objects.filter(id__in=ids, checkstate__state=State.PAUSED)
    require_resumable(paused.values_list("kind", flat=True))  # before the states, as `lock_plan` asks
    changed = _change_states(checks, State.UNKNOWN, lambda state: state == State.PAUSED)
    probed = [check for check in changed if not source_of(check)]
    Turn.objects.filter(watched_id__in=[check.id for check in probed]).delete()
    Turn.objects.bulk_create(_first_turns(probed), batch_size=BATCH)
    for check in changed:
        if source := source_of(check):
            source.resume(check)
    return len(changed)


def _first_turns(checks: list[Check]) -> Iterable[Turn]:
    now = clock.now()
    for place, check in enumerate(checks):
        at = now + timedelta(seconds=min(check.interval_seconds, SPREAD_SECONDS) * place / len(checks))
        for region_id in check.regions:
            yield Turn(watched=check, region_id=region_id, tenant_id=check.tenant_id, due_at=at, claimable_at=at)


def _change_states(checks: list[Check], after: State, is_wanted: Callable[[str], bool]) -> list[Check]:
    """Flip those whose state is wanted. Rivals: probers storing results; all lock the state rows in the order of ids."""
    standings = [row for row in lock_states(check.id for check in checks).values() if is_wanted(row.state)]
    record_flips([(standing, flip(standing, now_as(after))) for standing in standings])
    flipped = {standing.pk for standing in standings}
    return [check for check in checks if check.id in flipped]


def _tag(checks: list[Check], tags: Sequence[str]) -> int:
    return _keep_tags(checks, lambda check: clean_tags([*check.tags, *tags]))


def _untag(checks: list[Check], tags: Sequence[str]) -> int:
    return _keep_tags(checks, lambda check: [tag for tag in check.tags if tag not in tags])


def _keep_tags(checks: list[Check], tags_of: Callable[[Check], list[str]]) -> int:
    wanted = [(check, tags_of(check)) for check in checks]
    changed = [check for check, tags in wanted if tags != check.tags]
    for check, tags in wanted:
        check.tags, check.updated_at = tags, clock.now()
    Check.objects.bulk_update(changed, ["tags", "updated_at"], batch_size=BATCH)
    return len(changed)


def _delete(checks: list[Check], _tags: Sequence[str]) -> int:
    Check.objects.filter(id__in=[check.id for check in checks]).delete()
    return len(checks)


ACTIONS: Mapping[BulkAction, Callable[[list[Check], Sequence[str]], int]] = {
    BulkAction.PAUSE: _pause,
    BulkAction.RESUME: _resume,
    BulkAction.TAG: _tag,
    BulkAction.UNTAG: _untag,
    BulkAction.DELETE: _delete,
}
