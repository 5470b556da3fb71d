"""The HTTP prober's options as the settings of an HTTP check."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from apps.checks.importers.blackbox_options import Options, lose_other_name, take_tls
from apps.checks.importers.hosted import as_url, host_of
from apps.checks.importers.wish import basic_login, bearer_login, is_true, oauth_login, text_pairs
from apps.core.http.curl import MEBIBYTE, HttpVersion

USUAL_STATUSES = "200-299"
IS_SECURED = "[CERTIFICATE_EXPIRATION] != 0"  # it is 0 where the last connection has no certificate
READABLE_CODINGS = ("gzip", "deflate")
ONE, TWO, THREE = "1", "2", "3"
SIZE = re.compile(r"(\d{1,12})\s*(?:([kmgt])i?)?b?", re.IGNORECASE)
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
FLAGS_BY_LINE = re.compile(r"\(\?[a-zA-Z]*m")
LAST_END = re.compile(r"(?<!\\)\$\Z")


def http_settings(options: Options, address: str) -> dict[str, Any]:
    """Return the settings of an HTTP check of ``address``."""
    url = as_url(address, scheme="http")
    headers = text_pairs(options.take("headers"))
    settings: dict[str, Any] = {
        "url": url,
        "method": options.text("method").upper() or "GET",
        "body": options.take("body"),
        "expected_status": ", ".join(options.texts("valid_status_codes")) or USUAL_STATUSES,
        "follow_redirects": _follows(options),
        "http_version": _version(options, url),
        "patterns": [_whole(pattern) for pattern in options.texts("fail_if_body_not_matches_regexp")],
        "patterns_absent": [_whole(pattern) for pattern in options.texts("fail_if_body_matches_regexp")],
        "header_rules": list(_header_rules(options)),
        "conditions": [IS_SECURED] if options.flag("fail_if_not_ssl") else [],
        **_tls(options.part("tls_config"), headers, url),
        **_proxy(options),
        **_size(options),
    }
    login = _login(options, verifies=settings["verify_tls"])
    if not any(name.lower() == "authorization" for name in headers):  # which the exporter prefers
        settings |= {"headers": headers | login.pop("headers", {}), **login}
    _add_compression(options, settings, headers)
    return {"headers": headers, **settings}


def _follows(options: Options) -> bool:
    """Return whether redirects are followed; the older option counts where both are given."""
    follows = options.flag("follow_redirects", default=True)
    stays = options.take("no_follow_redirects")
    return follows if stays is None else not is_true(stays)


def _version(options: Options, url: str) -> str:
    """Return the version to speak, or nothing for the best. HTTP/1.0 goes for HTTP/1.1 here; in clear there is no other."""
    speaks_two, speaks_three = options.flag("enable_http2", default=True), options.flag("enable_http3")
    offered = {THREE} if speaks_three else {ONE, TWO} if speaks_two and url.startswith("https://") else {ONE}
    valid = {text.removeprefix("HTTP/")[:1] for text in options.texts("valid_http_versions")} or offered
    if offered & valid == {TWO}:
        return HttpVersion.TWO.value
    if not offered <= valid:  # such as 1.1 where 2 is offered too: the server would have to choose the former
        options.lose("valid_http_versions")
    if speaks_three:
        return HttpVersion.THREE.value
    return "" if speaks_two else HttpVersion.ONE.value


def _tls(tls: Options, headers: Mapping[str, str], url: str) -> dict[str, Any]:
    """Return what concerns TLS. The exporter asks for the name in the Host header where there is one, we for the URL's."""
    host = host_of(url)
    lose_other_name(tls, host)
    asked = next((host_of(text) for name, text in headers.items() if name.lower() == "host"), "")
    if url.startswith("https://") and asked not in ("", host) and not tls.text("server_name"):
        tls.lose(f"server_name: {asked}")
    return {
        "verify_tls": take_tls(tls),
        "client_certificate": tls.take("cert"),
        "client_key": tls.take("key"),
    }


def _proxy(options: Options) -> dict[str, Any]:
    """Return the proxy with its login; our proxies look names up themselves always."""
    options.pass_by("skip_resolve_phase_with_proxy")
    written = options.text("proxy_url")
    try:
        parts = urlsplit(written)
        scheme = parts.scheme.removesuffix("h") if parts.scheme == "socks5h" else parts.scheme
        where = f"{scheme}://{parts.netloc.rpartition('@')[2]}"
        name, password = parts.username, parts.password
    except ValueError:
        return {"proxy": written}  # to be refused by its own name
    return {
        "proxy": where if written else "",
        "proxy_username": unquote(name or ""),
        "proxy_password": unquote(password or ""),
    }


def _size(options: Options) -> dict[str, Any]:
    """Return the largest body; of one that may have a MiB or more, we read no more than that."""
    written = options.text("body_size_limit")
    found = SIZE.fullmatch(written.strip())
    limit = int(found[1]) * 1_024 ** POWERS[(found[2] or "").lower()] if found else 0
    if limit and limit < MEBIBYTE and not options.text("compression"):  # the exporter counts what is unpacked
        return {"max_body_bytes": limit}
    if limit:
        options.set_aside("body_size_limit")
    elif written and not found:
        options.lose("body_size_limit")
    return {}


def _login(options: Options, *, verifies: bool) -> dict[str, Any]:
    """Return the way to sign in; what stands in files, which nobody brings, is told."""
    basic, wider = options.part("basic_auth"), options.part("authorization")
    name, password = basic.text("username"), basic.text("password")
    if password and not name:
        basic.lose("password")
    scheme, words = wider.text("type") or "Bearer", wider.text("credentials")
    oauth = _oauth(options.part("oauth2"), verifies=verifies)
    token = options.text("bearer_token")
    if words and scheme.lower() != "bearer":
        return {"headers": {"Authorization": f"{scheme} {words}"}}
    return oauth or basic_login(name, password) or bearer_login(token or words)


def _oauth(oauth: Options, *, verifies: bool) -> dict[str, Any]:
    url, client, secret = (oauth.text(name) for name in ("token_url", "client_id", "client_secret"))
    scopes = oauth.take("scopes")
    more = text_pairs(oauth.take("endpoint_params"))
    if more.pop("grant_type", "client_credentials") != "client_credentials" or more:
        oauth.lose("endpoint_params")
    tls = oauth.part("tls_config")
    if take_tls(tls) is False and verifies:
        tls.lose("insecure_skip_verify")
    if url and client and secret:
        return oauth_login(url, client, secret, scopes)
    if url:
        oauth.lose("client_secret" if client else "client_id")
    return {}


def _add_compression(options: Options, settings: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Ask for a packed answer and insist on it, as the exporter does: it unpacks whatever comes."""
    coding = options.text("compression")
    if coding in READABLE_CODINGS:
        if not any(name.lower() == "accept-encoding" for name in headers):
            settings["headers"] = {**settings.get("headers", headers), "Accept-Encoding": coding}
        settings["header_rules"].append(f"Content-Encoding: ~ (?i){coding}")
    elif coding not in ("", "identity"):
        options.lose("compression")


# --- Patterns ----------------------------------------------------------------------------------------------------


def _whole(pattern: str) -> str:
    """Return a pattern whose last ``$`` is the very end, as in Go: a line feed may follow it in Python."""
    return pattern if FLAGS_BY_LINE.search(pattern) else LAST_END.sub(r"\\Z", pattern)


def _header_rules(options: Options) -> Iterator[str]:
    """Yield our rules for the exporter's: to those a header must be there, unless it says that it may be missing."""
    for rule in _rules(options, "fail_if_header_not_matches"):
        name, pattern, may_lack = rule
        if may_lack:  # "there, and nothing in it fits" is what must not be
            yield f"{name}: !~ (?s)\\A(?!.*(?:{pattern}))"
        else:
            yield f"{name}: ~ {_kept(pattern)}"
    for name, pattern, may_lack in _rules(options, "fail_if_header_matches"):
        if not may_lack:
            yield f"{name}: exists"
        yield f"{name}: !~ {_kept(pattern)}"


def _rules(options: Options, option: str) -> Iterator[tuple[str, str, bool]]:
    given = options.take(option)
    for rule in given if isinstance(given, list) else ():
        if isinstance(rule, Mapping):
            yield str(rule.get("header")), str(rule.get("regexp") or ""), is_true(rule.get("allow_missing", False))


def _kept(pattern: str) -> str:
    """Return a pattern so that a rule keeps the spaces at its ends."""
    return pattern if pattern == pattern.strip() else f"(?:{pattern})"
