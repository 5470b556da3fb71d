"""The first half of an SSH key exchange (RFC 4253, RFC 8731): enough for a server to prove which host key it holds."""

import base64
import hashlib
import os
import struct
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from apps.checks.types.base import ProbeFailure, Stream

MAX_PACKET = 35_000  # RFC 4253, section 6.1
MAX_PACKETS = 20  # before the one that is waited for
DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, KEXINIT, ECDH_INIT, ECDH_REPLY = 1, 2, 3, 4, 20, 30, 31
PASSED_OVER = frozenset({IGNORE, UNIMPLEMENTED, DEBUG})
EXCHANGES = ("curve25519-sha256", "curve25519-sha256@libssh.org")
CIPHERS = ("aes128-ctr", "aes256-ctr", "chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com")
MACS = ("hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")
# What a host key's kind is called, and the signatures that it may make.
SIGNATURES = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
RSA_HASHES = {"rsa-sha2-512": hashes.SHA512(), "rsa-sha2-256": hashes.SHA256()}
CURVE_HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}


class BadPacket(ValueError):
    """What came is no SSH, or not what the protocol allows here."""


async def prove_host_key(stream: Stream, our_line: bytes, their_line: bytes, kinds: Sequence[str]) -> str:
    """Return the fingerprint of the server's key, as ``SHA256:…``, once it has shown that it holds the private half.

    ``kinds`` are those of `SIGNATURES` that will do, the dearest first; the lines are both sides' greetings without
    their ends. Raises `ProbeFailure`: ``wrong_protocol``, ``ssh_no_key`` or ``ssh_key_unproven``.
    """
    try:
        return await _prove(stream, our_line, their_line, kinds)
    except (BadPacket, struct.error, ValueError, NotImplementedError, UnsupportedAlgorithm) as error:
        raise ProbeFailure("wrong_protocol", {"answer": str(error)[:100]}) from error


async def _prove(stream: Stream, our_line: bytes, their_line: bytes, kinds: Sequence[str]) -> str:
    ours = _proposal([name for kind in kinds for name in SIGNATURES[kind]])
    await stream.write(_packet(ours))
    theirs = await _next(stream, KEXINIT)
    _check_common(theirs, kinds)
    secret = x25519.X25519PrivateKey.generate()
    our_half = secret.public_key().public_bytes_raw()
    await stream.write(_packet(bytes([ECDH_INIT]) + _string(our_half)))
    reply = await _next(stream, ECDH_REPLY)
    key, rest = _take(reply[1:])
    their_half, rest = _take(rest)
    signature, _rest = _take(rest)
    shared = secret.exchange(x25519.X25519PublicKey.from_public_bytes(their_half))
    hashed = b"".join(map(_string, (our_line, their_line, ours, theirs, key, our_half, their_half))) + _number(shared)
    try:
        _verify(key, signature, hashlib.sha256(hashed).digest())
    except InvalidSignature as error:
        raise ProbeFailure("ssh_key_unproven") from error
    return fingerprint(key)


def fingerprint(key: bytes) -> str:
    """Return a key's fingerprint as ssh-keygen writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _verify(key: bytes, signature: bytes, digest: bytes) -> None:
    kind, _rest = _take(key)
    public = load_ssh_public_key(kind + b" " + base64.b64encode(key))
    name, rest = _take(signature)
    made, _rest = _take(rest)
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(made, digest)
    elif isinstance(public, rsa.RSAPublicKey) and name.decode() in RSA_HASHES:
        public.verify(made, digest, padding.PKCS1v15(), RSA_HASHES[name.decode()])
    elif isinstance(public, ec.EllipticCurvePublicKey):
        first, rest = _take(made)
        second, _rest = _take(rest)
        pair = encode_dss_signature(int.from_bytes(first), int.from_bytes(second))
        public.verify(pair, digest, ec.ECDSA(CURVE_HASHES[public.curve.key_size]))
    else:
        raise BadPacket("an unknown key")


def _proposal(signatures: Sequence[str]) -> bytes:
    lists = (EXCHANGES, signatures, CIPHERS, CIPHERS, MACS, MACS, ("none",), ("none",), (), ())
    names = b"".join(_string(",".join(names).encode()) for names in lists)
    return bytes([KEXINIT]) + os.urandom(16) + names + b"\0" + bytes(4)


def _check_common(theirs: bytes, kinds: Sequence[str]) -> None:
    """Refuse a server that offers no exchange or no key that will do: it would only hang up."""
    exchanges, rest = _take(theirs[17:])
    keys, _rest = _take(rest)
    wanted = {name for kind in kinds for name in SIGNATURES[kind]}
    if not wanted & set(keys.decode("ascii", "replace").split(",")):
        raise ProbeFailure("ssh_no_key")
    if not set(EXCHANGES) & set(exchanges.decode("ascii", "replace").split(",")):
        raise ProbeFailure("ssh_no_key")


async def _next(stream: Stream, wanted: int) -> bytes:
    """Return the payload of the next packet of a kind, passing over those that say nothing."""
    for _packet_number in range(MAX_PACKETS):
        (length,) = struct.unpack("!I", await stream.read_exactly(4))
        if not 2 <= length <= MAX_PACKET:
            raise BadPacket("a packet of an impossible length")
        body = await stream.read_exactly(length)
        payload = body[1 : length - body[0]]
        if not payload:
            raise BadPacket("an empty packet")
        if payload[0] == wanted:
            return payload
        if payload[0] == DISCONNECT:  # which is how it tells that there is nothing that both sides know
            raise ProbeFailure("ssh_no_key")
        if payload[0] not in PASSED_OVER:
            raise BadPacket(f"packet {payload[0]} instead of {wanted}")
    raise BadPacket("too many packets")


def _packet(payload: bytes) -> bytes:
    padding_length = 8 - (len(payload) + 5) % 8
    padding_length += 8 if padding_length < 4 else 0
    return struct.pack("!IB", len(payload) + padding_length + 1, padding_length) + payload + os.urandom(padding_length)


def _string(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from("!I", data)
    if len(data) < 4 + length:
        raise BadPacket("a packet that was cut short")
    return data[4 : 4 + length], data[4 + length :]


def _number(data: bytes) -> bytes:
    """Return a positive number as SSH writes it: without leading zeros, but never with a leading bit."""
    stripped = data.lstrip(b"\0")
    return _string(b"\0" + stripped if stripped and stripped[0] & 0x80 else stripped)
