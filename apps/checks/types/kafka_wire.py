"""Kafka's requests as bytes, and its answers back."""

import struct
from dataclasses import dataclass, field

from apps.checks.types.base import Stream
from apps.checks.types.service import wrong_protocol

MAX_ANSWER = 1_000_000
CLIENT = b"obsera"
SMALLEST_ENTRY = 2  # bytes of a list's entry: an empty text


class Answer:
    """An answer's bytes, read from front to back; raises `ProbeFailure` where they end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, shape: str) -> int:
        size = struct.calcsize(shape)
        return int(struct.unpack(shape, self.take(size))[0])

    def int16(self) -> int:
        return self.number("!h")

    def int32(self) -> int:
        return self.number("!i")

    def count(self) -> int:
        """Return how many entries follow; a list that is absent has none."""
        count = max(0, self.int32())
        if count > (len(self._data) - self._at) // SMALLEST_ENTRY:
            raise wrong_protocol("count")
        return count

    def text(self) -> str:
        return self.take(max(0, self.int16())).decode("utf-8", "replace")

    def data(self) -> bytes:
        return self.take(max(0, self.int32()))

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise wrong_protocol("end")
        self._at += size
        return part


def text(value: str) -> bytes:
    """Return a text with its length."""
    data = value.encode()
    return struct.pack("!h", len(data)) + data


def data(value: bytes) -> bytes:
    """Return bytes with their length."""
    return struct.pack("!i", len(value)) + value


class Link:
    """Requests of one connection, and their answers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._number = 0

    async def ask(self, api: int, version: int, body: bytes = b"") -> Answer:
        self._number += 1
        head = struct.pack("!hhi", api, version, self._number) + text(CLIENT.decode())
        await self._stream.write(data(head + body))
        size = int.from_bytes(await self._stream.read_exactly(4), "big", signed=True)
        if not 4 <= size <= MAX_ANSWER:
            raise wrong_protocol(size.to_bytes(4, "big", signed=True))
        answer = Answer(await self._stream.read_exactly(size))
        if answer.int32() != self._number:
            raise wrong_protocol("number")
        return answer


@dataclass(slots=True)
class Topic:
    """What the cluster says of a topic."""

    error: int
    partitions: int = 0
    leaderless: int = 0
    under_replicated: int = 0


@dataclass(slots=True)
class Cluster:
    """What the cluster says of itself."""

    name: str = ""
    controller: int = -1
    brokers: list[int] = field(default_factory=list)
    topics: dict[str, Topic] = field(default_factory=dict)


def read_cluster(answer: Answer) -> Cluster:
    """Read the answer to a metadata request of version 4."""
    answer.int32()  # how long the server held us back
    cluster = Cluster()
    for _broker in range(answer.count()):
        cluster.brokers.append(answer.int32())
        answer.text()  # its host, port and rack: where they are is not ours to go
        answer.int32()
        answer.text()
    cluster.name = answer.text()
    cluster.controller = answer.int32()
    for _topic in range(answer.count()):
        topic = Topic(error=answer.int16())
        cluster.topics[answer.text()] = topic
        answer.take(1)  # whether it is internal
        for _partition in range(answer.count()):
            _read_partition(answer, topic)
    return cluster


def _read_partition(answer: Answer, topic: Topic) -> None:
    answer.int16()  # a missing leader is told by its number too
    answer.int32()
    leader = answer.int32()
    replicas, in_sync = (len(answer.take(4 * answer.count())) for _list in range(2))  # their numbers say nothing here
    topic.partitions += 1
    topic.leaderless += leader < 0
    topic.under_replicated += in_sync < replicas
