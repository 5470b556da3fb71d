"""Baselines: what a check has observed becomes what it compares with, once somebody approves it.

A kind takes part by having a setting ``baseline`` and by putting ``observed`` (and ``changes``) into its results' details.
"""

import json
from dataclasses import dataclass, fields, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.checks import check_now
from apps.checks.domain.pacing import hold_turns, pass_by_probes
from apps.checks.domain.settings import config_of, keep_config, type_of
from apps.checks.enums import Verdict
from apps.checks.models import Check, Result
from apps.core import clock
from apps.core.refusals import Refusal

LOOKED_AT = 20  # of the latest results: between two observations others may have failed


class NothingObserved(Refusal):
    """There is nothing to approve: the check is as approved, or has not looked yet."""

    message = _("There is nothing to approve: all is as approved, or has not been looked at yet.")


class ObservedAnew(Refusal):
    """What the approver has seen is no longer what is observed."""

    message = _("It has changed again since you looked; look once more, then approve.")


@dataclass(frozen=True, slots=True)
class Observation:
    """What a check saw last, where that is not what was approved. ``mark`` tells one observation from another."""

    observed: dict[str, Any]
    changes: list[str]
    at: datetime

    @property
    def text(self) -> str:
        return json.dumps(self.observed, sort_keys=True, ensure_ascii=False)

    @property
    def pretty(self) -> str:
        """Return what people are shown, without what only we read."""
        shown = {name: part for name, part in self.observed.items() if name != "of"}
        return json.dumps(shown, indent=2, ensure_ascii=False)

    @property
    def mark(self) -> str:
        return sha256(self.text.encode()).hexdigest()[:16]


def takes_baseline(check: Check) -> bool:
    """Tell whether the check's kind compares with a baseline."""
    return any(entry.name == "baseline" for entry in fields(type_of(check).Config))


def latest_observation(check: Check) -> Observation | None:
    """Return what there is to approve; None where the latest good look found everything as approved."""
    latest = Result.objects.filter(check_id=check.id).order_by("-due_at").only("verdict", "details", "started_at")
    for result in latest[:LOOKED_AT]:
        if result.verdict in (Verdict.SUCCESS, Verdict.DEGRADED):
            return None
        found = (result.details or {}).get("observed")
        if isinstance(found, dict):
            return Observation(found, list((result.details or {}).get("changes", ())), result.started_at)
    return None


@transaction.atomic
def approve_baseline(check: Check, *, mark: str = "") -> Check:
    """Make what was observed the baseline, and look again at once.

    ``mark`` is that of the observation that the approver has seen; empty approves the latest. Raises `NothingObserved`
    or `ObservedAnew`.
    """
    hold_turns([check.id])
    # Rivals: a second approval, which waits here and then finds its observation approved already.
    locked: Check = Check.objects.select_for_update(no_key=True).get(id=check.id)
    observation = latest_observation(locked) if takes_baseline(locked) else None
    config: Any = config_of(locked)
    if observation is None or observation.text == getattr(config, "baseline", ""):
        raise NothingObserved
    if mark and mark != observation.mark:
        raise ObservedAnew
    keep_config(locked, replace(config, baseline=observation.text))
    locked.version += 1
    locked.updated_at = clock.now()
    locked.save(update_fields=["config", "secrets", "target", "version", "updated_at"])
    pass_by_probes([locked], now=locked.updated_at)
    check_now(locked)
    return locked
