"""A server that speaks Kafka's protocol by kafka-python's codecs, which are made of Kafka's own schemas.

kafka-python's client is the witness that it does so rightly.
"""

import socket
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.peers.scram import ScramServer

with warnings.catch_warnings():
    # It reads its schemas in a way that Python 3.11 alone warns of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError
    from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse
    from kafka.protocol.sasl import (
        SaslAuthenticateRequest,
        SaslAuthenticateResponse,
        SaslHandshakeRequest,
        SaslHandshakeResponse,
    )

__all__ = ["MECHANISMS", "PASSWORD", "USER", "Kafka", "KafkaAdminClient", "KafkaError"]
USER, PASSWORD = "probe", "pässword"
MECHANISMS = {"PLAIN": "", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
REQUESTS = {
    made.API_KEY: made for made in (ApiVersionsRequest, MetadataRequest, SaslHandshakeRequest, SaslAuthenticateRequest)
}
RANGES = {3: (0, 13), 17: (0, 1), 18: (0, 4), 36: (0, 2)}

# of each partition: its leader, its replicas, and those of them in sync
Partitions = list[tuple[int, list[int], list[int]]]
HEALTHY: Partitions = [(1, [1, 2, 3], [1, 2, 3]), (2, [2, 3, 1], [1, 2, 3])]


@dataclass
class Kafka:
    """Handles connections of `tests.peers.web.serving`."""

    port: int = 0
    brokers: list[int] = field(default_factory=lambda: [1, 2, 3])
    topics: dict[str, Partitions] = field(default_factory=lambda: {"orders": HEALTHY})
    needs_login: bool = False
    mechanisms: tuple[str, ...] = tuple(MECHANISMS)
    ranges: dict[int, tuple[int, int]] = field(default_factory=lambda: dict(RANGES))
    asked: list[Any] = field(default_factory=list)

    def __call__(self, connection: socket.socket, _request: bytes) -> None:
        talk = _Talk(self)
        while (head := _exactly(connection, 4)) is not None:
            frame = _exactly(connection, int.from_bytes(head, "big"))
            if frame is None:
                return
            api, version, number = struct.unpack_from("!hhi", frame)
            request = REQUESTS[api][version].decode(frame, header=True)
            self.asked.append(request)
            answer = talk.answer(api, version, request)
            if answer is None:
                return  # as Kafka does where somebody has to log in first
            answer.with_header(number)
            connection.sendall(answer.encode(header=True, framed=True))


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

    def __init__(self, server: Kafka) -> None:
        self._server = server
        self._is_known = not server.needs_login
        self._mechanism = ""
        self._login: ScramServer | None = None
        self._step = 0

    def answer(self, api: int, version: int, request: Any) -> Any:
        answers: dict[int, Callable[[int, Any], Any]] = {
            3: self._metadata,
            17: self._handshake,
            18: self._versions,
            36: self._authenticate,
        }
        return answers[api](version, request)

    def _versions(self, version: int, _request: Any) -> Any:
        keys = [
            ApiVersionsResponse.ApiVersion(api_key=key, min_version=low, max_version=high)
            for key, (low, high) in self._server.ranges.items()
        ]
        return ApiVersionsResponse[version](error_code=0, api_keys=keys, throttle_time_ms=0)

    def _handshake(self, version: int, request: Any) -> Any:
        self._mechanism = request.mechanism
        self._login = ScramServer(USER, PASSWORD, MECHANISMS.get(request.mechanism) or "sha256")
        error = 0 if request.mechanism in self._server.mechanisms else 33
        return SaslHandshakeResponse[version](error_code=error, mechanisms=list(self._server.mechanisms))

    def _authenticate(self, version: int, request: Any) -> Any:
        answer = self._checked(bytes(request.auth_bytes))
        words = None if answer is not None else f"Authentication failed during authentication due to invalid {USER}"
        return SaslAuthenticateResponse[version](
            error_code=0 if answer is not None else 58,
            error_message=words,
            auth_bytes=answer or b"",
            session_lifetime_ms=0,
        )

    def _checked(self, proof: bytes) -> bytes | None:
        """Return what the server says to a proof; None to a wrong one."""
        self._step += 1
        if self._mechanism == "PLAIN":
            self._is_known = proof.split(b"\0")[1:] == [USER.encode(), PASSWORD.encode()]
            return b"" if self._is_known else None
        assert self._login is not None
        if self._step == 1:
            return self._login.challenge(proof)
        verdict = self._login.verdict(proof)
        self._is_known = verdict is not None
        return verdict

    def _metadata(self, version: int, request: Any) -> Any:
        if not self._is_known:
            return None
        wanted = [topic.name for topic in request.topics] if request.topics is not None else list(self._server.topics)
        return MetadataResponse[version](
            throttle_time_ms=0,
            brokers=[
                MetadataResponse.MetadataResponseBroker(
                    node_id=node, host="127.0.0.1", port=self._server.port, rack=None
                )
                for node in self._server.brokers
            ],
            cluster_id="a-cluster",
            controller_id=self._server.brokers[0] if self._server.brokers else -1,
            topics=[self._topic(name) for name in wanted],
        )

    def _topic(self, name: str) -> Any:
        kind = MetadataResponse.MetadataResponseTopic
        partitions = [
            kind.MetadataResponsePartition(
                error_code=0 if leader >= 0 else 5,
                partition_index=index,
                leader_id=leader,
                leader_epoch=0,
                replica_nodes=replicas,
                isr_nodes=in_sync,
                offline_replicas=[],
            )
            for index, (leader, replicas, in_sync) in enumerate(self._server.topics.get(name, []))
        ]
        error = 0 if name in self._server.topics else 3
        return kind(error_code=error, name=name, topic_id=None, is_internal=False, partitions=partitions)
