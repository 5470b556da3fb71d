"""A front that speaks TLS and passes all on to a server that does not."""

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers.web import serving

CHUNK = 65_536


@contextmanager
def tls_front(port: int, tls: ssl.SSLContext) -> Iterator[int]:
    """Return the front's port; what comes there goes to ``port`` on this machine."""

    def pass_on(client: socket.socket, _request: bytes) -> None:
        assert isinstance(client, ssl.SSLSocket)
        with socket.create_connection(("127.0.0.1", port)) as server:
            _copy_both_ways(client, server)

    with serving(pass_on, tls=tls, listens=False) as front:
        yield front.port


def _copy_both_ways(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Copy in one thread until either side ends: a TLS session may not be read and written at the same time."""
    while True:
        ready = [client] if client.pending() else select.select([client, server], [], [])[0]
        for source, target in ((client, server), (server, client)):
            if source not in ready:
                continue
            data = source.recv(CHUNK)
            if not data:
                return
            target.sendall(data)
