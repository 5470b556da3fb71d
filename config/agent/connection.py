"""The one connection to the server: HTTPS only, outbound only, and nothing is believed that is not signed."""

from __future__ import annotations

import gzip
import secrets
import threading
from http import HTTPStatus
from typing import Any

import pycurl

from apps.checks.domain.agent_wire import AgentToken, NotSigned, open_answer
from apps.checks.domain.wire_fields import WireError, load, read_time
from apps.core.http.curl import MEBIBYTE
from config.agent import VERSION
from config.agent.errors import AnswerTooLarge, RequestRefused, ServerAway, TokenRefused
from config.agent.server_clock import ServerClock, steady_seconds
from config.agent.way import way_to

NONCE = "Obsera-Nonce"
ANSWER_SECONDS = 5.0
MAX_ANSWER_BYTES = 8 * MEBIBYTE
MAX_REFUSAL_BYTES = 65_536
# Below, a body fits into one packet anyway.
GZIP_FROM_BYTES = 1_400
GZIP_LEVEL = 2
MAX_RETRY_AFTER_SECONDS = 300.0
TOKEN_CODES = {
    "token_revoked": "the token has been revoked: this agent has been replaced, paused or deleted",
    "token_unknown": "the server does not know this token: it may have been rotated, or belong to another server",
}


class Connection:
    """Asks one thing after the other over one kept-alive connection. Use from one thread at a time.

    Goes through the system's proxy (HTTPS_PROXY, NO_PROXY), verifies TLS, follows no redirect, and takes a bounded answer.
    """

    def __init__(
        self,
        server: str,
        token: AgentToken,
        clock: ServerClock,
        *,
        named_ca_file: str = "",
        stop: threading.Event | None = None,
    ) -> None:
        """``stop`` breaks a request off when it is set."""
        self._base = f"{server}/agent/v1/"
        self._token = token
        self._clock = clock
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._size = 0
        self._stop = stop
        self.proven_at = float("-inf")  # `steady_seconds`: when the latest question was asked whose answer was believed
        self._curl = way_to(server, named_ca_file=named_ca_file)
        self._set_constants()

    def _set_constants(self) -> None:
        option = self._curl.setopt
        option(pycurl.TCP_KEEPALIVE, 1)
        option(pycurl.ACCEPT_ENCODING, "gzip")
        option(pycurl.USERAGENT, f"obsera-agent/{VERSION}")
        option(pycurl.WRITEFUNCTION, self._take_body)
        option(pycurl.HEADERFUNCTION, self._take_header)
        if self._stop is not None:
            option(pycurl.NOPROGRESS, 0)
            option(pycurl.XFERINFOFUNCTION, self._is_to_stop)

    def ask(self, verb: str, body: bytes, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Send a JSON body and return the answer's fields, proven to be this server's to this question.

        Raises `ServerAway` (`AnswerTooLarge` among them), `TokenRefused` or `RequestRefused`.
        """
        try:
            return self._asked(verb, body, seconds)
        except RequestRefused as error:
            if NONCE not in error.errors:
                raise
        # libcurl has sent it again where a kept connection broke before the answer: ask anew, all that is asked may be.
        return self._asked(verb, body, seconds)

    def close(self) -> None:
        self._curl.close()

    def _asked(self, verb: str, body: bytes, seconds: float) -> dict[str, Any]:
        nonce = secrets.token_hex(16)
        asked_at = steady_seconds()
        status = self._send(verb, nonce, body, seconds)
        answer, self._chunks = b"".join(self._chunks), []
        if status != HTTPStatus.OK:
            raise self._refusal(status, answer)
        return self._believed(verb, nonce, answer, asked_at)

    def _send(self, verb: str, nonce: str, body: bytes, seconds: float) -> int:
        headers = [
            f"Authorization: Bearer {self._token.bearer}",
            f"{NONCE}: {nonce}",
            f"Obsera-Agent-Version: {VERSION}",
            "Content-Type: application/json",
            "Expect:",
        ]
        if len(body) > GZIP_FROM_BYTES:
            body = gzip.compress(body, GZIP_LEVEL)
            headers.append("Content-Encoding: gzip")
        self._headers, self._chunks, self._size = {}, [], 0
        option = self._curl.setopt
        option(pycurl.URL, self._base + verb)
        option(pycurl.HTTPHEADER, headers)
        option(pycurl.POSTFIELDS, body)
        option(pycurl.TIMEOUT_MS, int(seconds * 1_000))
        try:
            self._curl.perform()
        except pycurl.error as error:
            self._chunks = []
            number, text = error.args[0], str(error.args[1])
            if number == pycurl.E_WRITE_ERROR:
                raise AnswerTooLarge(f"the answer is larger than {MAX_ANSWER_BYTES} bytes") from error
            raise ServerAway(text[:300]) from error
        return int(self._curl.getinfo(pycurl.RESPONSE_CODE))

    def _is_to_stop(self, *_progress: int) -> int:
        """Asked by libcurl about once a second."""
        return int(self._stop is not None and self._stop.is_set())

    def _take_body(self, chunk: bytes) -> int | None:
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            return 0  # which ends the transfer with a write error
        self._chunks.append(chunk)
        return None

    def _take_header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            self._headers = {}  # an interim answer's, or the proxy's
            return
        name, _colon, value = line.decode("latin-1").partition(":")
        self._headers[name.strip().lower()] = value.strip()

    def _believed(self, verb: str, nonce: str, answer: bytes, asked_at: float) -> dict[str, Any]:
        """Return the fields of an answer once its signature, its question and its date are right."""
        heard_at = steady_seconds()
        try:
            # The fresh nonce under the signature proves that the answer is new. So its date may set our idea of the
            # server's time while we have none, and this machine's clock may be wrong; nor need it be later than the one
            # before: the server's clock may be set back, and the clocks of several web servers differ.
            is_trusted = self._clock.is_trusted
            now = self._clock.now() if is_trusted else read_time(load(answer).get("issued_at"), "issued_at")
            signature = self._headers.get("obsera-signature", "")
            fields, issued_at = open_answer(self._token.public_key, verb, nonce, answer, signature, now=now)
        except (NotSigned, WireError) as error:
            raise ServerAway(f"an answer was refused: {error}") from error
        self._clock.take(issued_at, asked_at=asked_at, heard_at=heard_at)
        self.proven_at = asked_at
        return fields

    def _refusal(self, status: int, answer: bytes) -> Exception:
        said = _document(answer)
        code = str(said.get("code", ""))
        if status == HTTPStatus.UNAUTHORIZED and code in TOKEN_CODES:
            return TokenRefused(TOKEN_CODES[code])
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
            errors = said.get("errors")
            return RequestRefused(status, errors if isinstance(errors, dict) else said)
        if 300 <= status < 400:
            place = self._headers.get("location", "nowhere")[:200]
            return ServerAway(f"the server redirects to {place}: give --server the address that it leads to")
        if status == HTTPStatus.NOT_FOUND:
            return ServerAway("there is no door for agents at that address: check --server")
        return ServerAway(f"the server answered {status}", retry_after_seconds=self._retry_after(), status=status)

    def _retry_after(self) -> float:
        text = self._headers.get("retry-after", "")
        return min(float(text), MAX_RETRY_AFTER_SECONDS) if text.isdecimal() else 0.0


def _document(answer: bytes) -> dict[str, Any]:
    if len(answer) > MAX_REFUSAL_BYTES:
        return {}
    try:
        return load(answer)
    except WireError:
        return {}
