"""Settings and judgements that the check types speaking HTTP share."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.types.answers import CONDITION_PLACEHOLDERS
from apps.checks.types.conditions import check_conditions
from apps.checks.types.rule_lines import MAX_RULES
from apps.core.http.curl import HttpVersion, Proxy, speaks
from apps.core.http.headers import TOKEN, BadHeader, header_lines
from apps.core.http.urls import DEFAULT_PORTS, BadUrl, check_url

COMMON_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROXY_SCHEMES = ("http", "socks5")
HTTP_VERSIONS: tuple[tuple[str, str | Promise], ...] = (
    (HttpVersion.AUTO.value, _("Best that is offered")),
    (HttpVersion.ONE.value, "HTTP/1.1"),
    (HttpVersion.TWO.value, "HTTP/2"),
    (HttpVersion.THREE.value, "HTTP/3"),
)

Errors = dict[str, str | Promise]


class Auth(TextChoices):
    """How a check shows who it is."""

    NONE = "", _("None")
    BASIC = "basic", _("User name and password (Basic)")
    BEARER = "bearer", _("Token (Bearer)")
    OAUTH = "oauth2", _("OAuth 2 client credentials")


def check_url_field(url: str) -> None:
    """Raise `ValidationError` for what is no web address."""
    try:
        check_url(url)
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error


def check_optional_url(url: str) -> None:
    """Like `check_url_field`, where nothing is allowed too."""
    if url:
        check_url_field(url)


def check_headers_field(headers: Mapping[str, str]) -> None:
    """Raise `ValidationError` for what cannot be sent as headers."""
    try:
        header_lines(headers)
    except BadHeader as error:
        raise ValidationError(str(error), code="bad_header") from error


def check_method(method: str) -> None:
    """Raise `ValidationError` for what is no method of RFC 9110, or would change what the connection is."""
    if not TOKEN.fullmatch(method):
        raise ValidationError(_("A method is one word of letters, digits and hyphens, such as GET."), code="malformed")
    if method.upper() in COMMON_METHODS and not method.isupper():
        raise ValidationError(_("Write the method in capitals: methods differ by them."), code="capitals")
    if method.upper() == "CONNECT":
        raise ValidationError(_("CONNECT is for proxies; set the proxy below instead."), code="connect")


def check_cookies(cookies: Mapping[str, str]) -> None:
    """Raise `ValidationError` for what cannot be sent as cookies."""
    for name, value in cookies.items():
        if not TOKEN.fullmatch(name) or ";" in value or not value.isascii():
            raise ValidationError(
                _("“%(name)s” cannot be a cookie: names are plain words, values ASCII without semicolons."),
                code="bad_cookie",
                params={"name": name[:60]},
            )
    check_headers_field(cookies and {"Cookie": "; ".join(cookies.values())})


def each(check: Callable[[str], Any]) -> Callable[[list[str]], None]:
    """Return a check that judges each line."""

    def judge(lines: list[str]) -> None:
        if len(lines) > MAX_RULES:
            raise ValidationError(
                _("These are too many: %(max)s lines are the most."), code="many", params={"max": MAX_RULES}
            )
        for line in lines:
            check(line)

    return judge


def check_conditions_field(conditions: list[str]) -> None:
    """Raise `ValidationError` for conditions that cannot be read, or ask for what an HTTP answer does not have."""
    each(str)(conditions)
    check_conditions(conditions, CONDITION_PLACEHOLDERS)


def check_domain_conditions(conditions: list[str]) -> None:
    """Like `check_conditions_field`, where the end of the domain may be asked for too."""
    each(str)(conditions)
    check_conditions(conditions, CONDITION_PLACEHOLDERS | {"DOMAIN_EXPIRATION"})


def check_proxy(url: str) -> None:
    """Raise `ValidationError` for what is no proxy's address."""
    if url:
        parse_proxy(url)


def parse_proxy(url: str, username: str = "", password: str = "") -> Proxy:
    """Return the proxy of ``http://host:port`` or ``socks5://host:port``, or raise `ValidationError`."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in PROXY_SCHEMES:
        raise ValidationError(_("Write the proxy as http://host:port or socks5://host:port."), code="bad_scheme")
    try:
        address = check_url(f"http://{rest}")
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error
    if address.url.partition("://")[2].partition("/")[2]:
        raise ValidationError(_("A proxy has no path: write its host and port only."), code="path")
    if address.port == DEFAULT_PORTS["http"] and scheme == "socks5":
        raise ValidationError(_("Name the proxy's port, such as socks5://host:1080."), code="port")
    return Proxy(scheme, address.host, address.port, address.literal_ip, username, password)


def basic_authorization(username: str, password: str) -> str:
    """Return the value of an Authorization header (RFC 7617)."""
    return f"Basic {basic_pair(username, password)}"


def basic_pair(username: str, password: str) -> str:
    """Return a name and a password as such a header has them."""
    return b64encode(f"{username}:{password}".encode()).decode()


def content_type_of(body: str) -> str:
    """Return what a body is sent as where the user did not say."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return "text/plain; charset=utf-8"
    return "application/json"


def version_errors(version: str, scheme: str, *, by_proxy: bool = False) -> Errors:
    """Return what stands against a version of HTTP: the address, a proxy, or the libcurl in use."""
    wanted = HttpVersion(version)
    if wanted in (HttpVersion.AUTO, HttpVersion.ONE):
        return {}
    if scheme != "https":
        return {"http_version": _("HTTP/2 and HTTP/3 need an https address.")}
    if wanted == HttpVersion.THREE and by_proxy:
        return {"http_version": _("HTTP/3 runs over UDP, which proxies do not carry; choose another or no proxy.")}
    if not speaks(wanted):
        return {"http_version": _("The libcurl of this installation cannot speak this version; choose another.")}
    return {}


def certificate_errors(certificate: str, key: str, scheme: str = "https") -> Errors:
    """Return what stands against a client certificate and its key, as PEM texts; both may be empty."""
    if not certificate and not key:
        return {}
    if scheme != "https":
        return {"client_certificate": _("A client certificate needs an https address.")}
    if not key:
        return {"client_key": _("Give the key that belongs to the certificate.")}
    if not certificate:
        return {"client_certificate": _("Give the certificate that belongs to the key.")}
    try:
        public_key = x509.load_pem_x509_certificates(certificate.encode())[0].public_key()
    except (ValueError, IndexError):
        return {"client_certificate": _("This is no PEM certificate: it begins with -----BEGIN CERTIFICATE-----.")}
    try:
        private_key = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        return {"client_key": _("This key is locked by a password; give it without one (it is stored encrypted).")}
    except Exception:  # noqa: BLE001 - the library's parsers raise errors of many classes for what is no key
        return {"client_key": _("This is no PEM key: it begins with -----BEGIN PRIVATE KEY-----.")}
    if private_key.public_key() != public_key:
        return {"client_key": _("This key does not belong to the certificate.")}
    return {}
