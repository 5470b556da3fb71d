"""A server that speaks MongoDB's messages by pymongo's own BSON; pymongo's client is the witness that it does so rightly."""

import hashlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bson

from tests.peers.scram import ScramServer

USER, PASSWORD = "probe", "pässword of ①"
LEGACY = 2004  # OP_QUERY, in which older clients greet
LEGACY_REPLY = 1
MESSAGE = 2013

Document = dict[str, Any]


@dataclass
class Mongo:
    """Handles connections of `tests.peers.web.serving`. ``about`` is what it says of itself.

    With ``needs_login`` it guards even the ping, which MongoDB's own server (`tests.peers.mongod`) gives to anybody.
    """

    about: Document = field(default_factory=lambda: {"isWritablePrimary": True})
    needs_login: bool = False
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256",)  # none are named as by servers before 4.0, which know SHA-1 only
    commands: list[str] = field(default_factory=list)

    def __call__(self, connection: socket.socket, _request: bytes) -> None:
        talk = _Talk(self)
        while (head := _exactly(connection, 16)) is not None:
            size, number, _answered, kind = struct.unpack("<iiii", head)
            body = _exactly(connection, size - 16)
            if body is None:
                return
            is_old = kind == LEGACY
            asked = bson.decode(body[body.index(b"\0", 4) + 9 :] if is_old else body[5:])
            head = struct.pack("<iqii", 8, 0, 0, 1) if is_old else b"\0\0\0\0\0"
            answer = head + bson.encode(talk.answer(asked))
            reply_kind = LEGACY_REPLY if is_old else MESSAGE
            connection.sendall(struct.pack("<iiii", len(answer) + 16, 7, number, reply_kind) + answer)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


class _Talk:
    """One connection: whether somebody has logged in."""

    def __init__(self, server: Mongo) -> None:
        self._server = server
        self._is_known = not server.needs_login
        if "SCRAM-SHA-256" in server.mechanisms:
            # SASLprep makes a 1 of the password's last sign, as pymongo does it.
            self._way, self._login = "SCRAM-SHA-256", ScramServer(USER, PASSWORD.replace("①", "1"))
        else:
            kept = hashlib.md5(f"{USER}:mongo:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
            self._way, self._login = "SCRAM-SHA-1", ScramServer(USER, kept, "sha1")

    def answer(self, asked: Document) -> Document:
        name = next(iter(asked))
        self._server.commands.append(name)
        answers: dict[str, Callable[[Document], Document]] = {
            "hello": self._hello,
            "ismaster": self._hello,
            "isMaster": self._hello,
            "saslStart": self._start,
            "saslContinue": self._go_on,
        }
        if name in answers:
            return answers[name](asked)
        if not self._is_known:
            return _error(13, "Unauthorized", f"Command {name} requires authentication")
        if name in ("ping", "endSessions"):
            return {"ok": 1.0}
        if name.lower() == "buildinfo":
            return {"version": "7.0.14", "versionArray": [7, 0, 14, 0], "ok": 1.0}
        return _error(59, "CommandNotFound", f"no such command: '{name}'")

    def _hello(self, asked: Document) -> Document:
        is_asked = asked.get("saslSupportedMechs") == f"admin.{USER}" and self._server.mechanisms
        mechanisms = {"saslSupportedMechs": list(self._server.mechanisms)} if is_asked else {}
        limits = {"maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
        return {**self._server.about, **limits, **mechanisms, "minWireVersion": 0, "maxWireVersion": 21, "ok": 1.0}

    def _start(self, asked: Document) -> Document:
        if asked["mechanism"] != self._way:
            return _error(334, "MechanismUnavailable", "Unsupported mechanism")
        challenge = self._login.challenge(bytes(asked["payload"]))
        if challenge is None or asked["$db"] != "admin":
            return _error(18, "AuthenticationFailed", "Authentication failed.")
        return {"conversationId": 1, "done": False, "payload": challenge, "ok": 1.0}

    def _go_on(self, asked: Document) -> Document:
        proof = self._login.verdict(bytes(asked["payload"]))
        if proof is None:
            return _error(18, "AuthenticationFailed", "Authentication failed.")
        self._is_known = True
        return {"conversationId": 1, "done": True, "payload": proof, "ok": 1.0}


def _error(code: int, name: str, words: str) -> Document:
    return {"ok": 0.0, "errmsg": words, "code": code, "codeName": name}
