"""A real Valkey of the tests' own: a primary, and a replica of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from config.run.valkey import find_binary
from tests.peers.process import START_SECONDS, free_port, running, short_folder

PASSWORD = "pässword"


@dataclass(frozen=True)
class Pair:
    """The ports. User `reader` may PING and ask for keys named ``app:*``, and nothing else."""

    port: int
    replica_port: int

    def client(self, port: int = 0) -> redis.Redis:
        return redis.Redis(port=port or self.port, password=PASSWORD)


@contextmanager
def valkey_pair() -> Iterator[Pair]:
    """Run both servers for the block. The key ``app:heartbeat`` is in database 3 of the primary."""
    with short_folder() as folder:
        pair = Pair(free_port(), free_port())
        common = ["--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--requirepass", PASSWORD]
        common += ["--repl-diskless-sync-delay", "0"]
        following = ["--replicaof", f"127.0.0.1 {pair.port}", "--masterauth", PASSWORD]
        program = str(find_binary())
        primary = [program, "--port", str(pair.port), *common]
        replica = [program, "--port", str(pair.replica_port), *common, *following]
        with (
            running(primary, port=pair.port, folder=folder),
            running(replica, port=pair.replica_port, folder=folder),
        ):
            with pair.client() as client:
                client.acl_setuser(
                    "reader",
                    enabled=True,
                    passwords=["+secret"],
                    keys=["app:*"],
                    commands=["+ping", "+exists", "+select"],
                )
                client.execute_command("SELECT", 3)
                client.set("app:heartbeat", "1")
                assert client.wait(1, int(START_SECONDS * 1_000)) == 1
            yield pair
