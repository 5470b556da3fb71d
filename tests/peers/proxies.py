"""Small proxies: HTTP's CONNECT and SOCKS5, with or without a password. They do as told and write down what they were asked."""

import socket
import struct
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.peers.web import serving

Target = tuple[str, int]


@dataclass
class Proxy:
    """A running proxy. ``asked`` are the targets it was asked for; names are looked up in ``names`` first."""

    scheme: str
    port: int = 0
    names: dict[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = ""
    asked: list[Target] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextmanager
def proxying(
    scheme: str, *, names: dict[str, str] | None = None, username: str = "", password: str = ""
) -> Iterator[Proxy]:
    """Run a proxy on loopback."""
    proxy = Proxy(scheme, names=names or {}, username=username, password=password)
    serve = _serve_socks if scheme == "socks5" else _serve_http
    with serving(lambda connection, _request: serve(connection, proxy), listens=False) as web:
        proxy.port = web.port
        yield proxy


def _serve_http(connection: socket.socket, proxy: Proxy) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += _exactly(connection, 1)
    method, place, _version = head.split(b"\r\n")[0].decode().split(" ")
    host, _colon, port = place.rpartition(":")
    wanted = b"Proxy-Authorization: Basic " + b64encode(f"{proxy.username}:{proxy.password}".encode())
    if method != "CONNECT":
        connection.sendall(b"HTTP/1.1 405 CONNECT only\r\nContent-Length: 0\r\n\r\n")
    elif proxy.username and wanted not in head.split(b"\r\n"):
        connection.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
    else:
        _join(
            connection, proxy, (host, int(port)), b"HTTP/1.1 200 Joined\r\nX-Proxy: yes\r\nSet-Cookie: by=proxy\r\n\r\n"
        )


def _serve_socks(connection: socket.socket, proxy: Proxy) -> None:
    _version, count = _exactly(connection, 2)
    methods = _exactly(connection, count)
    if proxy.username:
        if 2 not in methods:
            connection.sendall(b"\x05\xff")
            return
        connection.sendall(b"\x05\x02")
        _exactly(connection, 1)
        given = [_exactly(connection, _exactly(connection, 1)[0]) for _part in ("username", "password")]
        if given != [proxy.username.encode(), proxy.password.encode()]:
            connection.sendall(b"\x01\x01")
            return
        connection.sendall(b"\x01\x00")
    else:
        connection.sendall(b"\x05\x00")
    _version, _command, _reserved, kind = _exactly(connection, 4)
    if kind == 3:
        host = _exactly(connection, _exactly(connection, 1)[0]).decode()
    else:
        family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(family, _exactly(connection, size))
    (port,) = struct.unpack("!H", _exactly(connection, 2))
    _join(connection, proxy, (host, port), b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def _join(connection: socket.socket, proxy: Proxy, target: Target, greeting: bytes) -> None:
    proxy.asked.append(target)
    with socket.create_connection((proxy.names.get(target[0], target[0]), target[1])) as onward:
        connection.sendall(greeting)
        back = threading.Thread(target=_pump, args=(onward, connection))
        back.start()
        _pump(connection, onward)
        with suppress(OSError):
            onward.shutdown(socket.SHUT_RD)  # whoever asked has left, so nobody waits for more
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65_536):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
