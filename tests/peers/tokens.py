"""An OAuth 2 token server (client credentials, RFC 6749): strict about who asks, and how."""

import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus

from tests.peers.web import Web, answer, serving


@dataclass
class TokenServer:
    """What it gives out, and what it was asked (the forms). ``broken`` is said instead of a token."""

    web: Web
    client_id: str
    client_secret: str
    expires_in: Any = 3_600
    broken: bytes = b""
    forms: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.web.url("/token")

    def respond(self, connection: socket.socket, request: bytes) -> None:
        head, _blank, body = request.partition(b"\r\n\r\n")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.forms.append(form)
        pair = b64encode(f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}".encode())
        by_header = b"Authorization: Basic " + pair in head.split(b"\r\n")
        by_body = (form.get("client_id"), form.get("client_secret")) == (self.client_id, self.client_secret)
        if self.broken:
            connection.sendall(self.broken)
        elif form.get("grant_type") != "client_credentials" or by_header == by_body:
            connection.sendall(answer(401, b'{"error": "invalid_client"}', Content_Type="application/json"))
        else:
            token = {"access_token": f"token-{len(self.forms)}", "token_type": "Bearer", "expires_in": self.expires_in}
            connection.sendall(answer(200, json.dumps(token).encode(), Content_Type="application/json"))


@contextmanager
def giving_tokens(client_id: str = "prober", client_secret: str = "s3cret/+") -> Iterator[TokenServer]:
    """Run a token server on loopback."""
    servers: list[TokenServer] = []
    with serving(lambda connection, request: servers[0].respond(connection, request)) as web:
        servers.append(TokenServer(web, client_id, client_secret))
        yield servers[0]
