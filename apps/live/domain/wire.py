"""The shape of live messages: between processes (Redis) and to the browser (WebSocket)."""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

EPOCH_KEY = "{obsera:live}:epoch"
EVERYTHING = "*"
# Published to a topic when those who may listen to it changed: every socket of the topic is checked again at once.
ACCESS = "access:*"
MAX_IDS_OF_A_KIND = 100


@dataclass(frozen=True, slots=True)
class Heard:
    """One numbered message about one topic, as it came out of Redis."""

    topic: str
    n: int
    ids: frozenset[str]


def channel(database: int) -> str:
    """Name the one channel; Redis channels are shared by the numbered databases of a server, so it names ours."""
    return f"obsera:live:{database}"


def sequence_key(topic: str) -> str:
    """Name the Redis counter of a topic (one hash tag, so that the script also runs on a Redis cluster)."""
    return f"{{obsera:live}}:n:{topic}"


def condensed(ids: Iterable[str]) -> frozenset[str]:
    """Replace the ids of a crowded kind by `kind:*`, so that a storm of changes stays a small message."""
    unique = frozenset(ids)
    if EVERYTHING in unique:
        return frozenset((EVERYTHING,))
    if len(unique) <= MAX_IDS_OF_A_KIND and not any(one.endswith(":*") for one in unique):
        return unique
    kinds = Counter(kind_of(one) for one in unique)
    crowded = {kind for kind, count in kinds.items() if count > MAX_IDS_OF_A_KIND or f"{kind}:*" in unique}
    return frozenset(one for one in unique if kind_of(one) not in crowded) | {f"{kind}:*" for kind in crowded}


def kind_of(one: str) -> str:
    """Return the part before the colon: `check` of `check:0190…`."""
    return one.partition(":")[0]


def publication(topic: str, ids: Iterable[str]) -> str:
    """Write what the publishing script wraps with number and epoch: a JSON fragment of topic and ids."""
    return f"{json.dumps(topic)},{json.dumps(sorted(condensed(ids)))}"


def parse(data: bytes | str) -> tuple[str, list[Heard]]:
    """Read one Redis message; raise ValueError for anything that the publishing script did not write."""
    try:
        message = json.loads(data)
        heard = [Heard(topic, int(n), frozenset(ids)) for n, topic, ids in message["m"]]
        return str(message["e"]), heard
    except (KeyError, TypeError) as error:
        raise ValueError("not a live message") from error


def hello(*, epoch: str, n: int, ids: Collection[str]) -> str:
    """Greet a browser with the current number and with what it missed since it was last in step."""
    return _payload("hello", epoch=epoch, n=n, ids=sorted(ids))


def delta(*, epoch: str, first: int, n: int, ids: Collection[str]) -> str:
    """Say which ids changed in the messages `first` to `n`."""
    return _payload("delta", epoch=epoch, first=first, n=n, ids=sorted(ids))


def resync(*, epoch: str, n: int) -> str:
    """Ask the browser to fetch everything again and to count on from `n`."""
    return _payload("resync", epoch=epoch, n=n)


def beat(*, epoch: str, n: int) -> str:
    """Show that the line is alive and where the count stands."""
    return _payload("beat", epoch=epoch, n=n)


def stalled() -> str:
    """Say that nothing can be pushed for now, so that the browser polls until it hears `hello` or `resync`."""
    return _payload("stalled")


def _payload(kind: str, **values: object) -> str:
    return json.dumps({"type": kind, **values}, separators=(",", ":"))
