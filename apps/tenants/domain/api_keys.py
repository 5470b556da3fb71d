"""Keys for programs: made, checked, revoked."""

import hashlib
from datetime import datetime, timedelta

from django.db.models import Q

from apps.accounts.models import User
from apps.core import clock
from apps.core.ids import has_valid_checksum, new_token
from apps.core.tenancy import system_scope
from apps.tenants.domain.rights import refuse_beyond
from apps.tenants.enums import Role
from apps.tenants.models import ApiKey

PREFIX = "obs_live_"
TOUCH_EVERY = timedelta(minutes=1)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def create_api_key(
    *, name: str, role: Role, created_by: User | None, can: frozenset[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Return the stored key and its text, which is never shown again.

    ``can`` are the rights of who asks; raises `PermissionDenied` for a key with more.
    """
    refuse_beyond(can, role)
    text = new_token(PREFIX)
    key = ApiKey.objects.create(
        name=name, role=role, created_by=created_by, expires_at=expires_at, key_hash=_hash(text), last_four=text[-4:]
    )
    return key, text


def revoke_api_key(*, key: ApiKey, can: frozenset[str]) -> None:
    """End a key; a second time changes nothing. Raises `PermissionDenied` where the key's role exceeds these rights."""
    refuse_beyond(can, key.role)
    ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=clock.now())


def find_api_key(text: str) -> ApiKey | None:
    """Return the living key of that text, with its tenant; note its use at most once a minute."""
    if not text.startswith(PREFIX) or not has_valid_checksum(text):
        return None
    now = clock.now()
    with system_scope("a key says itself which tenant it opens"):
        living = ApiKey.unscoped.filter(
            Q(expires_at=None) | Q(expires_at__gt=now), key_hash=_hash(text), revoked_at=None
        )
        key: ApiKey | None = living.select_related("tenant").first()
        if key and (key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY):
            ApiKey.unscoped.filter(id=key.id).update(last_used_at=now)
    return key
