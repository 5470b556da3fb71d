"""The way to the server: HTTPS only, through the system's proxy (HTTPS_PROXY, NO_PROXY), trusting the roots that were named."""

from urllib.parse import urlsplit

import pycurl

from apps.core.http.curl import ca_file
from config.agent.options import LOOPBACK

CONNECT_SECONDS = 3.0


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
    curl = way_to(server, named_ca_file=named_ca_file)
    try:
        curl.setopt(pycurl.URL, server)
        curl.setopt(pycurl.CONNECT_ONLY, 1)
        curl.setopt(pycurl.TIMEOUT_MS, int(CONNECT_SECONDS * 1_000))
        curl.perform()
    except pycurl.error as error:
        return f"{error.args[1] or error.args[0]}"
    finally:
        curl.close()
    return ""
