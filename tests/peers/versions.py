"""A server of HTTP/1.1, HTTP/2 and HTTP/3 at one port: hypercorn, with aioquic for the last."""

import gzip
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trustme

from tests.peers.process import free_port, running, short_folder

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], _receive: Any, send: Send) -> None:
    """Say which version was spoken; at /packed, compressed."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/plain"), (b"x-version", scope["http_version"].encode())]
    body = f"spoke {scope['http_version']}".encode()
    if scope["path"] == "/packed":
        headers.append((b"content-encoding", b"gzip"))
        body = gzip.compress(body)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def speaking_all_versions(authority: trustme.CA) -> Iterator[int]:
    """Run the server for ``localhost`` and return its port (TCP and UDP alike)."""
    with short_folder() as folder:
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        for part in certificate.cert_chain_pems:
            part.write_to_path(folder / "chain.pem", append=True)
        port = free_port()
        command = [sys.executable, "-m", "hypercorn", "tests.peers.versions:app"]
        command += ["--certfile", str(folder / "chain.pem"), "--keyfile", str(folder / "key.pem")]
        command += ["--bind", f"127.0.0.1:{port}", "--quic-bind", f"127.0.0.1:{port}"]
        with running(command, port=port, folder=folder, env={"PYTHONPATH": ":".join(sys.path)}):
            yield port
