"""The way to the server: HTTPS only, through the system's proxy (HTTPS_PROXY, NO_PROXY), trusting the roots that were named."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pycurl

from apps.core.http.curl import ca_file
from config.agent.options import LOOPBACK
from config.agent.server_clock import steady_seconds

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
LOOK_EVERY_SECONDS = 0.1
LOST = "the server cannot be reached (%s): what fails here meanwhile is unknown, and no downtime"
ANSWERED = "no new connection to the server (%s), but one that is open answers: what fails here counts"
FOUND = "connections to the server can be opened again: what fails here counts"


class WayHome:
    """Tells the prober whether the server can be reached, and the log when that changes. Use from one thread at a time."""

    def __init__(self, look: Callable[[], str], proven_at: Callable[[], float], stop: threading.Event) -> None:
        """``look`` opens a connection; ``proven_at`` is when the latest question was asked that the server answered."""
        self._look = look
        self._proven_at = proven_at
        self._stop = stop
        self._said = FOUND

    def lost(self) -> str:
        """Return what keeps us from the server; nothing where it is reached, be it by a connection that was open before.

        A question that was asked since, and answered, shows as well that the network works: a resolver or a proxy may fail
        new connections alone. One of before shows nothing: the way may have been lost after it.
        """
        began = steady_seconds()
        reason = self._look()
        is_answered = bool(reason) and self._is_answered(began)
        self._say(FOUND if not reason else ANSWERED if is_answered else LOST, reason)
        return "" if is_answered else reason

    def _is_answered(self, began: float) -> bool:
        """Wait for an answer for as long as for a connection: the prober asks something every second."""
        while self._proven_at() < began:
            if steady_seconds() - began >= CONNECT_SECONDS or self._stop.wait(LOOK_EVERY_SECONDS):
                return False
        return True

    def _say(self, text: str, reason: str) -> None:
        if text != self._said:
            self._said = text
            logger.log(logging.INFO if text == FOUND else logging.WARNING, text, *[reason] * bool(reason))


def way_to(server: str, *, named_ca_file: str = "") -> pycurl.Curl:
    """Return a handle for requests to the server; what is asked is left to be said."""
    curl, is_loopback = pycurl.Curl(), urlsplit(server).hostname in LOOPBACK
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTPS | pycurl.PROTO_HTTP * is_loopback)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)  # the token goes to the host it was given for
    curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    curl.setopt(pycurl.CAINFO, named_ca_file or ca_file())
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1_000))
    if is_loopback:
        curl.setopt(pycurl.NOPROXY, "*")
    return curl


def lost_way(server: str, *, named_ca_file: str = "") -> str:
    """Return what keeps us from the server: its name, the way there or its certificate; nothing where it is reached.

    Nothing is asked of it: a server that is busy, or refuses us, shows that the network is well.
    """
    try:
        with closing(way_to(server, named_ca_file=named_ca_file)) as curl:
            curl.setopt(pycurl.URL, server)
            curl.setopt(pycurl.CONNECT_ONLY, 1)
            curl.setopt(pycurl.TIMEOUT_MS, int(CONNECT_SECONDS * 1_000))
            curl.perform()
    except pycurl.error as error:
        return f"{error.args[-1] or error.args[0]}"
    return ""
