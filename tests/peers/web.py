"""A web server that does to each connection exactly what a test wants, well-behaved or not."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Handler = Callable[[socket.socket, bytes], None]
PATIENCE_SECONDS = 30.0  # with a client that is slow to speak or to listen
GRACE_SECONDS = 5.0  # for handlers that are about to end when the test does


@dataclass
class Web:
    """A running server: where it is and what it was asked. ``stopped`` lets a dawdling handler end with the test."""

    scheme: str
    port: int
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    open: set[socket.socket] = field(default_factory=set)
    last: tuple[object, ...] = ()

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
        _say_the_last_word(listener, web)
        accepting.join()
        listener.close()
        _join(threads, web)


def _say_the_last_word(listener: socket.socket, web: Web) -> None:
    """Connect once more: by the time that this is accepted, everybody who came before has been counted."""
    with socket.socket(listener.family) as last:
        last.bind((listener.getsockname()[0], 0))
        web.last = last.getsockname()
        last.connect(listener.getsockname())


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
            connection, peer = listener.accept()
        except ConnectionError:  # by one who left at once
            continue
        if peer == web.last:
            connection.close()
            return
        web.connections += 1
        thread = threading.Thread(target=_serve, args=(connection, web, handler, tls, listens))
        threads.append(thread)
        thread.start()


def _join(threads: list[threading.Thread], web: Web) -> None:
    """Wait for every handler: one that outlives its test would break another."""
    ends = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    for connection in list(web.open):
        with suppress(OSError):  # below TLS, whose state belongs to the handler's thread
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
    for thread in threads:
        thread.join(2 * PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "a handler did not end"


def _serve(connection: socket.socket, web: Web, handler: Handler, tls: ssl.SSLContext | None, listens: bool) -> None:
    # The other side hanging up in the middle is what many tests are about.
    with suppress(OSError), connection:
        connection.settimeout(PATIENCE_SECONDS)
        with _secured(connection, tls) if tls else connection as spoken:
            web.open.add(spoken)
            try:
                _talk(spoken, web, handler, listens)
            finally:
                web.open.discard(spoken)


def _secured(connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    return tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


def _talk(spoken: socket.socket, web: Web, handler: Handler, listens: bool) -> None:
    if isinstance(spoken, ssl.SSLSocket):
        spoken.do_handshake()
    request = read_request(spoken) if listens else b""
    if listens and not request:
        return  # the client has left without a word
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
        part = connection.recv(65_536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


def answer(status: int = 200, body: bytes = b"all is well", **headers: str) -> bytes:
    """Return a complete answer; header names are written with underscores."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close", *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def saying(data: bytes) -> Handler:
    """Return a handler that always says the same."""
    return lambda connection, _request: connection.sendall(data)
