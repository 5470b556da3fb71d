"""A server that logs in as MySQL 8 does, with caching_sha2_password; PyMySQL is the witness that it does so rightly."""

import hashlib
import socket
import ssl
import struct
from dataclasses import dataclass, field
from itertools import cycle

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

USER, PASSWORD = "probe", "pässwörd of 8"
NONCE = b"abcdefghij0123456789"
CLIENT_SSL = 0x800
ABILITIES = 0x1 | 0x8 | 0x200 | CLIENT_SSL | 0x2000 | 0x8000 | 0x80000


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def greeting(plugin: str = "caching_sha2_password", abilities: int = ABILITIES) -> bytes:
    head = b"\x0a8.4.3\0" + struct.pack("<I", 7) + NONCE[:8] + b"\0"
    middle = struct.pack("<HBHHB10x", abilities & 0xFFFF, 45, 2, abilities >> 16, 21)
    return packet(0, head + middle + NONCE[8:] + b"\0" + plugin.encode() + b"\0")


OK = b"\0\0\0\x02\0\0\0"
DENIED = b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied"


@dataclass
class MySql8:
    """Handles connections of `tests.peers.web.serving`. A login is remembered, as the real one's cache does."""

    tls: ssl.SSLContext | None = None
    is_cached: bool = False
    logins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(65_537, 2_048)

    def __call__(self, connection: socket.socket, _request: bytes) -> None:
        connection.sendall(greeting(abilities=ABILITIES if self.tls else ABILITIES & ~CLIENT_SSL))
        number, body = _receive(connection)
        is_secure = bool(struct.unpack_from("<I", body)[0] & CLIENT_SSL)
        if not is_secure:
            self._serve(connection, number, body, is_secure=False)
            return
        assert self.tls is not None
        with self.tls.wrap_socket(connection, server_side=True) as secured:
            self._serve(secured, *_receive(secured), is_secure=True)

    def _serve(self, connection: socket.socket, number: int, body: bytes, *, is_secure: bool) -> None:
        is_welcome, number = self._log_in(connection, number, body, is_secure)
        connection.sendall(packet(number + 1, OK if is_welcome else DENIED))
        while connection.recv(1_000):
            pass

    def _log_in(self, connection: socket.socket, number: int, body: bytes, is_secure: bool) -> tuple[bool, int]:
        user, _null, rest = body[32:].partition(b"\0")
        proof = rest[1 : 1 + rest[0]]
        if user != USER.encode():
            return False, number
        if self.is_cached and proof == _proof():
            self.logins.append("fast")
            connection.sendall(packet(number + 1, b"\x01\x03"))
            return True, number + 1
        connection.sendall(packet(number + 1, b"\x01\x04"))
        number, answer = _receive(connection)
        if is_secure:
            self.logins.append("full over TLS")
            return answer == PASSWORD.encode() + b"\0", number
        assert answer == b"\x02"
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        connection.sendall(packet(number + 1, b"\x01" + pem))
        number, answer = _receive(connection)
        self.logins.append("full by RSA")
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
        hidden = self.key.decrypt(answer, oaep)
        plain = bytes(left ^ right for left, right in zip(hidden, cycle(NONCE), strict=False))
        return plain == PASSWORD.encode() + b"\0", number


def _proof() -> bytes:
    once = hashlib.sha256(PASSWORD.encode()).digest()
    cover = hashlib.sha256(hashlib.sha256(once).digest() + NONCE).digest()
    return bytes(left ^ right for left, right in zip(once, cover, strict=True))


def _receive(connection: socket.socket) -> tuple[int, bytes]:
    head = _exactly(connection, 4)
    return head[3], _exactly(connection, int.from_bytes(head[:3], "little"))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the client has gone")
        data += part
    return data
