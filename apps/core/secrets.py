"""Secrets at rest: AES-256-GCM with a key id in front and the row's place as additional data, so that a sealed value
copied to another row or tenant does not open."""

import base64
import hashlib
import os
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DERIVED_KEY_ID = "derived"


class SealBroken(ValueError):
    """The sealed value was altered, moved from its place, or sealed with a key this installation does not have."""


@cache
def _keys() -> dict[str, AESGCM]:
    """Return the sealing keys, newest first."""
    keys: dict[str, AESGCM] = {}
    for entry in settings.SEALING_KEYS:
        key_id, _, encoded = entry.partition(":")
        try:
            keys[key_id] = AESGCM(base64.urlsafe_b64decode(encoded))
        except ValueError as error:
            raise ImproperlyConfigured("SEALING_KEYS wants id:base64url-of-32-bytes, newest first.") from error
    derived = hashlib.scrypt(settings.SECRET_KEY.encode(), salt=b"obsera sealing key", n=2**14, r=8, p=1, dklen=32)
    keys[DERIVED_KEY_ID] = AESGCM(derived)
    return keys


def seal(text: str, *, place: str) -> str:
    """Return ``key-id.base64url(nonce + ciphertext + tag)``; ``place`` names the row it belongs to, such as ``channel:<id>``."""
    key_id, key = next(iter(_keys().items()))
    nonce = os.urandom(12)
    sealed = nonce + key.encrypt(nonce, text.encode(), place.encode())
    return f"{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"


def unseal(sealed: str, *, place: str) -> str:
    """Return the text that `seal` hid; raise `SealBroken` for anything else."""
    key_id, _, encoded = sealed.partition(".")
    try:
        raw = base64.urlsafe_b64decode(encoded)
        return _keys()[key_id].decrypt(raw[:12], raw[12:], place.encode()).decode()
    except (KeyError, ValueError, InvalidTag) as error:
        raise SealBroken(f"the secret kept for {place} does not open") from error


def derived_key(purpose: str, *, owner: bytes) -> bytes:
    """Return 32 bytes that only this installation knows, the same each time: one key for each purpose and owner (HKDF, RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=purpose.encode(), info=owner).derive(_master(settings.SECRET_KEY))


@cache
def _master(secret_key: str) -> bytes:
    """Return the root of the derived keys; scrypt, since an installation may have chosen a weak secret."""
    return hashlib.scrypt(secret_key.encode(), salt=b"obsera derived keys", n=2**14, r=8, p=1, dklen=32)
