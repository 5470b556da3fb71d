"""How MySQL and MariaDB let a password be proven."""

import hashlib
from itertools import cycle

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from nacl import bindings as curve

from apps.checks.types.service import wrong_protocol

ED25519 = "client_ed25519"  # MariaDB's own
ED25519_NONCE = 32
PLUGINS = frozenset(
    {"mysql_native_password", "caching_sha2_password", "sha256_password", "mysql_clear_password", ED25519}
)
MAX_KEY = 16_384


def first_proof(plugin: str, password: str, nonce: bytes, *, is_encrypted: bool) -> bytes:
    """Return what the client sends first under ``plugin``."""
    secret = password.encode()
    if plugin == "mysql_clear_password":
        return secret + b"\0"
    if plugin == "sha256_password":
        return secret + b"\0" if is_encrypted or not secret else key_request(plugin)
    if plugin == ED25519:
        return _signed(secret, nonce)
    if not secret:
        return b""
    if plugin == "caching_sha2_password":
        return _mixed("sha256", secret, nonce, is_nonce_last=True)
    return _mixed("sha1", secret, nonce, is_nonce_last=False)


def _signed(secret: bytes, nonce: bytes) -> bytes:
    """Sign the nonce by Ed25519 (RFC 8032, 5.1.6), with the password in the place of the key's 32 bytes, as MariaDB wants it
    and no library's own key will have it: https://mariadb.com/kb/en/authentication-plugin-ed25519/."""
    if len(nonce) != ED25519_NONCE:
        raise wrong_protocol(nonce)
    digest = hashlib.sha512(secret).digest()
    key = bytes([digest[0] & 0xF8, *digest[1:31], digest[31] & 0x7F | 0x40])
    once = curve.crypto_core_ed25519_scalar_reduce(hashlib.sha512(digest[32:] + nonce).digest())
    point = curve.crypto_scalarmult_ed25519_base_noclamp(once)
    public = curve.crypto_scalarmult_ed25519_base_noclamp(key)
    challenge = curve.crypto_core_ed25519_scalar_reduce(hashlib.sha512(point + public + nonce).digest())
    return point + curve.crypto_core_ed25519_scalar_add(curve.crypto_core_ed25519_scalar_mul(challenge, key), once)


def _mixed(name: str, secret: bytes, nonce: bytes, *, is_nonce_last: bool) -> bytes:
    """Return the password's hash, hidden under the nonce and the hash's own hash."""

    def digest(data: bytes) -> bytes:
        return hashlib.new(name, data, usedforsecurity=False).digest()  # the server's choice, not ours

    once = digest(secret)
    twice = digest(once)
    cover = digest(twice + nonce if is_nonce_last else nonce + twice)
    return bytes(left ^ right for left, right in zip(once, cover, strict=True))


def key_request(plugin: str) -> bytes:
    """Return the wish for the server's public key."""
    return b"\x02" if plugin == "caching_sha2_password" else b"\x01"


def sealed(password: str, nonce: bytes, pem: bytes) -> bytes:
    """Return the password under the server's public key; raises `ProbeFailure` for a key that is none."""
    if len(pem) > MAX_KEY or not nonce:
        raise wrong_protocol(pem[:80])
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise wrong_protocol(pem[:80]) from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise wrong_protocol(pem[:80])
    hidden = bytes(left ^ right for left, right in zip(password.encode() + b"\0", cycle(nonce), strict=False))
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - the protocol's
    try:
        return key.encrypt(hidden, oaep)
    except ValueError as error:  # a key too short for the password
        raise wrong_protocol(pem[:80]) from error
