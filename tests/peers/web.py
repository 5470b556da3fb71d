"""A web server that does to each connection exactly what a test wants, well-behaved or not."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Handler = Callable[[socket.socket, bytes], None]


@dataclass
class Web:
    """A running server: where it is and what it was asked. ``stopped`` lets a dawdling handler end with the test."""

    scheme: str
    port: int
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


@contextmanager
def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, family: int = socket.AF_INET, listens: bool = True
) -> Iterator[Web]:
    """Serve on loopback: ``handler`` gets each connection with the request's bytes; the connection is closed after it.

    Without ``listens`` it speaks at once, whatever comes.
    """
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    listener.listen(512)
    web = Web("https" if tls else "http", listener.getsockname()[1])
    threads: list[threading.Thread] = []
    accepting = threading.Thread(target=_accept, args=(listener, web, handler, tls, threads, listens))
    accepting.start()
    try:
        yield web
    finally:
        web.stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for thread in threads:
            thread.join(5)


def _accept(
    listener: socket.socket,
    web: Web,
    handler: Handler,
    tls: ssl.SSLContext | None,
    threads: list[threading.Thread],
    listens: bool,
) -> None:
    while True:
        try:
            connection, _peer = listener.accept()
        except OSError:
            return
        web.connections += 1
        thread = threading.Thread(target=_serve, args=(connection, web, handler, tls, listens))
        threads.append(thread)
        thread.start()


def _serve(connection: socket.socket, web: Web, handler: Handler, tls: ssl.SSLContext | None, listens: bool) -> None:
    # The other side hanging up in the middle is what many tests are about.
    with suppress(OSError), connection:
        connection.settimeout(10)
        with tls.wrap_socket(connection, server_side=True) if tls else connection as spoken:
            request = read_request(spoken) if listens else b""
            web.asked.append(request)
            handler(spoken, request)


def read_request(connection: socket.socket) -> bytes:
    """Return one request with its body."""
    request = b""
    while b"\r\n\r\n" not in request:
        part = connection.recv(65_536)
        if not part:
            return request
        request += part
    head, _blank, body = request.partition(b"\r\n\r\n")
    wanted = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < wanted:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answer(status: int = 200, body: bytes = b"all is well", **headers: str) -> bytes:
    """Return a complete answer; header names are written with underscores."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close", *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def saying(data: bytes) -> Handler:
    """Return a handler that always says the same."""
    return lambda connection, _request: connection.sendall(data)
