"""A check's settings between the database and its kind: secrets are sealed on the way in, opened on the way out."""

import json
from typing import Any
from uuid import UUID

from apps.checks.models import Check
from apps.checks.types.base import CheckType
from apps.checks.types.registry import CHECK_TYPES
from apps.checks.types.schedules import BadSchedule
from apps.core.kinds import Config, load_config, split_config
from apps.core.secrets import SealBroken, seal, unseal

# What stored settings may raise: sealed with a key that is gone, of a kind or a time zone that is not known any more, with a
# schedule that nobody can read.
UNREADABLE = (SealBroken, LookupError, TypeError, BadSchedule)


def _place(check_id: UUID) -> str:
    return f"check:{check_id}"


def opened_config(check_id: UUID, kind: str, public: dict[str, Any], sealed: str) -> Config:
    """Return the typed settings of a stored check."""
    secret = json.loads(unseal(sealed, place=_place(check_id))) if sealed else {}
    return load_config(CHECK_TYPES.get(kind).Config, {**public, **secret})


def config_of(check: Check) -> Config:
    return opened_config(check.id, check.kind, check.config, check.secrets)


def type_of(check: Check) -> CheckType:
    return CHECK_TYPES.get(check.kind)


def keep_config(check: Check, config: Config) -> None:
    """Put settings into the row (not saved here)."""
    check.config, secret = split_config(config)
    check.secrets = seal(json.dumps(secret), place=_place(check.id)) if secret else ""
    check.target = type_of(check).target(config)
