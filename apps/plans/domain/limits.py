"""Whether one more still fits, exactly, and the refusals that say so."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.refusals import BeyondLimit
from apps.core.tenancy import current_tenant_id
from apps.plans.catalogue import LIMITS
from apps.plans.domain.locks import lock_plan
from apps.plans.domain.plans import Standing, standing_of

Counter = Callable[[], int]


@cache
def counters() -> Mapping[str, Counter]:
    """Return how each counted limit is counted: `config.usage_table`, loaded late, for it names apps of every floor."""
    table: Mapping[str, str] = import_string(settings.USAGE_TABLE)
    return {name: import_string(path) for name, path in table.items()}


def count_used(name: str) -> int:
    """Return how much of a limit the open tenant uses: its rows, counted now."""
    return counters()[name]()


def held_limit(name: str) -> int | None:
    """Return how many the open tenant may have, None for any number.

    The answer holds until the end of the transaction: who asks after us waits.
    """
    tenant_id = current_tenant_id()
    if _allowed(standing_of(tenant_id), name) is None:
        return None
    lock_plan(tenant_id)
    return _allowed(standing_of(tenant_id), name)


def room(name: str) -> int | None:
    """Return how many more fit, None for any number; a tenant beyond its plan has none, and less than none. Holds like
    `held_limit`."""
    allowed = held_limit(name)
    return None if allowed is None else allowed - count_used(name)


def require_room(name: str, *, more: int = 1, field: str = "") -> None:
    """Refuse what does not fit any more, with `BeyondLimit`.

    ``more`` 0 refuses those only who have more than their plan allows, such as after a change to a smaller one.
    """
    left = room(name)
    if left is not None and left < more:
        raise limit_reached(name, more=more, left=left, field=field)


def limit_reached(name: str, *, more: int, left: int, field: str = "") -> BeyondLimit:
    """Return the refusal of ``more`` where so many are ``left``."""
    standing = standing_of(current_tenant_id())
    allowed = _allowed(standing, name) or 0
    facts = _facts(standing, name, used=allowed - left)
    names = {"plan": standing.plan.label, "limit": LIMITS[name].label}
    if not allowed and not facts["used"]:
        text = _("%(limit)s: the plan “%(plan)s” has none. See “Plan and usage” in the settings for a larger plan.")
        return BeyondLimit(text % names, field=field, limit=facts)
    over = more - left
    text = ngettext(
        "%(limit)s: the plan “%(plan)s” allows %(allowed)s and %(used)s are in use; this is one too many. Remove what you "
        "no longer need, or see “Plan and usage” in the settings for a larger plan.",
        "%(limit)s: the plan “%(plan)s” allows %(allowed)s and %(used)s are in use; this is %(over)s too many. Remove what "
        "you no longer need, or see “Plan and usage” in the settings for a larger plan.",
        over,
    )
    numbers = {"allowed": allowed, "used": allowed - left, "over": over}
    return BeyondLimit(text % {**names, **numbers}, field=field, limit=facts)


def not_in_plan(name: str, message: str | Promise, *, field: str = "", **facts: Any) -> BeyondLimit:
    """Return the refusal of what the open tenant's plan does not hold; ``message`` says which, and the mend. ``facts`` are
    for programs."""
    standing = standing_of(current_tenant_id())
    text = _("%(message)s The plan is “%(plan)s”; see “Plan and usage” in the settings.") % {
        "message": message,
        "plan": standing.plan.label,
    }
    return BeyondLimit(text, field=field, limit=_facts(standing, name, **facts))


def _allowed(standing: Standing, name: str) -> int | None:
    allowed: int | None = getattr(standing.entitlements, name)
    return allowed


def _facts(standing: Standing, name: str, **more: Any) -> dict[str, Any]:
    allowed = getattr(standing.entitlements, name)
    return {"name": name, "plan": standing.plan.code, "allowed": allowed, **more, "see": "/api/v1/plan/"}
