"""Doing one thing to many checks at once, in a handful of statements however many they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.checks import delete_checks, pause_checks, resume_checks
from apps.checks.domain.tags import clean_tags
from apps.checks.models import Check
from apps.core import clock

BATCH = 500


class BulkAction(TextChoices):
    """What can be done to many checks."""

    PAUSE = "pause", _("Pause")
    RESUME = "resume", _("Resume")
    TAG = "tag", _("Add tag")
    UNTAG = "untag", _("Remove tag")
    DELETE = "delete", _("Delete")


def act_on(checks: Iterable[Check], action: BulkAction, *, tags: Sequence[str] = ()) -> int:
    """Do it to each of the open tenant's checks and return how many it changed; those that are so already are passed over.

    Raises `ValidationError` where a check would get too many tags, and `BeyondLimit` where the tenant's plan does not let
    paused checks go on; then none is changed.
    """
    return ACTIONS[action](list(checks), tags)


def _pause(checks: list[Check], _tags: Sequence[str]) -> int:
    return len(pause_checks(checks))


def _resume(checks: list[Check], _tags: Sequence[str]) -> int:
    return len(resume_checks(checks))


def _tag(checks: list[Check], tags: Sequence[str]) -> int:
    return _keep_tags(checks, lambda check: clean_tags([*check.tags, *tags]))


def _untag(checks: list[Check], tags: Sequence[str]) -> int:
    return _keep_tags(checks, lambda check: [tag for tag in check.tags if tag not in tags])


@transaction.atomic
def _keep_tags(checks: list[Check], tags_of: Callable[[Check], list[str]]) -> int:
    # Rivals: colleagues who tag some of them, too: each adds to what the other has made of them.
    held = Check.objects.select_for_update(no_key=True).filter(id__in=[check.id for check in checks]).order_by("id")
    present, now = dict(held.values_list("id", "tags")), clock.now()
    changed = []
    for check in checks:
        check.tags = before = present.get(check.id, check.tags)
        check.tags = tags_of(check)
        if check.tags != before and check.id in present:
            check.updated_at = now
            changed.append(check)
    Check.objects.bulk_update(changed, ["tags", "updated_at"], batch_size=BATCH)
    return len(changed)


def _delete(checks: list[Check], _tags: Sequence[str]) -> int:
    delete_checks(checks)
    return len(checks)


ACTIONS: Mapping[BulkAction, Callable[[list[Check], Sequence[str]], int]] = {
    BulkAction.PAUSE: _pause,
    BulkAction.RESUME: _resume,
    BulkAction.TAG: _tag,
    BulkAction.UNTAG: _untag,
    BulkAction.DELETE: _delete,
}
