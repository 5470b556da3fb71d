"""Requests to the API, and its problem documents as sentences."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlencode, urlsplit

from config.cli.credentials import Credentials
from config.cli.errors import CliError

TIMEOUT_SECONDS = 120
MAX_ANSWER = 64 * 1_048_576


class Api:
    """Talks to one installation with one key. Redirects are not followed: a key goes to the host it was given for."""

    def __init__(self, credentials: Credentials) -> None:
        self._key = credentials.key
        parts = urlsplit(credentials.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CliError(f"“{credentials.url}” is no address. Give one such as https://obsera.example.com.")
        self._is_secure, self._host, self._base = parts.scheme == "https", parts.netloc.rpartition("@")[2], parts.path

    def get(self, path: str, **query: str) -> bytes:
        return self._send("GET", path, query, None, "")

    def post(self, path: str, body: bytes, *, content_type: str, **query: str) -> Any:
        return json.loads(self._send("POST", path, query, body, content_type))

    def _send(self, method: str, path: str, query: dict[str, str], body: bytes | None, content_type: str) -> bytes:
        asked = urlencode({name: value for name, value in query.items() if value})
        address = f"{self._base}/api/v1/{path}{'?' + asked if asked else ''}"
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/yaml, application/json"}
        if path != "checks/export/":
            headers["Accept"] = "application/json"
        if content_type:
            headers["Content-Type"] = content_type
        connection = self._connection()
        try:
            connection.request(method, address, body, headers)
            answer = connection.getresponse()
            status, told = answer.status, answer.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise CliError(f"{self._host} does not answer: {error or type(error).__name__}.") from error
        finally:
            connection.close()
        if status != http.HTTPStatus.OK:
            raise CliError(problem(status, told))
        return told

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_secure:
            return http.client.HTTPSConnection(
                self._host, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)


def problem(status: int, told: bytes) -> str:
    """Return a refusal as text: one line for the whole, then a line for each place."""
    if status in (301, 302, 307, 308):
        return f"The address redirects ({status}). Sign in with the address that it leads to."
    try:
        said = json.loads(told)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return f"The answer was {status} and not of this product's API. Check the address."
    errors = said.get("errors")
    if not isinstance(errors, dict):
        return str(said.get("detail") or said.get("title") or status)
    return "\n".join(_places(errors))


def _places(errors: dict[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for place, texts in errors.items():
        if isinstance(texts, dict):
            found += _places(texts, f"{above}{place}.")
            continue
        listed = texts if isinstance(texts, list) else [texts]
        found += [str(text) if place == "__all__" else f"{above}{place}: {text}" for text in listed]
    return found
