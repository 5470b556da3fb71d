"""The server's side of SCRAM, for stand-ins; foreign clients are the witnesses that it is right."""

import base64
import hashlib
import hmac

SALT, ROUNDS = b"sixteen bytes of", 8_192


class ScramServer:
    """One login of one user."""

    def __init__(self, user: str, password: str, name: str = "sha256") -> None:
        self._user, self._password, self._hash = user, password.encode(), name
        self._exchanged = ""

    def challenge(self, first: bytes) -> bytes | None:
        """Return the answer to the client's first message; None for a stranger."""
        bare = first.decode().removeprefix("n,,")
        parts = dict(part.split("=", 1) for part in bare.split(","))
        challenge = f"r={parts['r']}server,s={base64.b64encode(SALT).decode()},i={ROUNDS}"
        self._exchanged = f"{bare},{challenge}"
        return challenge.encode() if parts["n"] == self._user else None

    def verdict(self, last: bytes) -> bytes | None:
        """Return the proof that the password is known here; None for a wrong one."""
        final, _comma, proof = last.decode().rpartition(",p=")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, SALT, ROUNDS)
        message = f"{self._exchanged},{final}".encode()
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        signature = hmac.digest(hashlib.new(self._hash, client_key).digest(), message, self._hash)
        expected = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        if base64.b64decode(proof) != expected:
            return None
        own = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), message, self._hash)
        return b"v=" + base64.b64encode(own)
