"""SCRAM (RFC 5802, RFC 7677): a login that shows the password to nobody, and proves that the server knows it."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata

from apps.checks.types.base import ProbeFailure
from apps.checks.types.service import wrong_protocol

# Servers use 4,096 to 15,000 rounds; far more would let a hostile one burn the prober's time.
MAX_ROUNDS = 100_000
KEPT = 4_096
_known: dict[bytes, bytes] = {}
HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
FORBIDDEN = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class ScramLogin:
    """One login: send `first`, then the answer to the server's first message, then check its last one."""

    def __init__(
        self, mechanism: str, *, username: str, password: str, nonce: str = "", is_prepared: bool = True
    ) -> None:
        self._hash = HASHES[mechanism]
        self._password = (prepared(password) if is_prepared else password).encode()
        self._nonce = nonce or secrets.token_urlsafe(18)
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._server_signature = b""
        self.is_proven = False

    @property
    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    async def respond(self, challenge: bytes) -> bytes:
        """Return the proof for the server's challenge; raises `ProbeFailure` for one that cannot be right."""
        parts = _attributes(challenge)
        nonce, rounds = parts.get("r", ""), parts.get("i", "")
        salt = _decoded(parts.get("s", ""))
        is_sound = nonce.startswith(self._nonce) and len(nonce) > len(self._nonce) and salt and rounds.isdecimal()
        if not is_sound or len(rounds) > 9 or not 0 < int(rounds) <= MAX_ROUNDS:
            raise wrong_protocol(challenge)
        salted = await _salted(self._hash, self._password, salt, int(rounds))
        final = f"c=biws,r={nonce}"  # “biws” is “n,,”: no channel binding
        exchanged = f"{self._bare},{challenge.decode()},{final}".encode()
        client_key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self._hash, client_key).digest(), exchanged)
        self._server_signature = self._hmac(self._hmac(salted, b"Server Key"), exchanged)
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        """Check the server's own proof; raises `ProbeFailure`."""
        claimed = _decoded(_attributes(final).get("v", ""))
        if not self._server_signature or not hmac.compare_digest(claimed, self._server_signature):
            raise ProbeFailure("server_unproven")
        self.is_proven = True

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash)


async def _salted(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
    """Return the password after all its rounds. Known ones are kept: a server's salt stays until the password changes,
    and the rounds cost ten times as much as the rest of a probe."""
    key = hashlib.blake2b(b"\0".join((name.encode(), str(rounds).encode(), salt.hex().encode(), password))).digest()
    salted = _known.get(key)
    if salted is None:
        # In a thread, since it takes milliseconds that belong to other probes.
        salted = await asyncio.to_thread(hashlib.pbkdf2_hmac, name, password, salt, rounds)
        if len(_known) >= KEPT:
            _known.clear()
        _known[key] = salted
    return salted


def prepared(text: str) -> str:
    """Return ``text`` by SASLprep (RFC 4013); as it stands where that forbids it, which is what PostgreSQL does."""
    if text.isascii():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(sign) else sign for sign in text if not stringprep.in_table_b1(sign)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(is_forbidden(sign) for sign in normal for is_forbidden in FORBIDDEN):
        return text
    return normal


def _attributes(message: bytes) -> dict[str, str]:
    if len(message) > 4_096 or not message.isascii():
        raise wrong_protocol(message[:80])
    return {part[:1]: part[2:] for part in message.decode().split(",") if part[1:2] == "="}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
