"""The settings of an HTTP check."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types import assertions
from apps.checks.types.assertions import Assertion
from apps.checks.types.cookies import CookieJar
from apps.checks.types.http_fields import (
    HTTP_VERSIONS,
    Auth,
    Errors,
    basic_authorization,
    certificate_errors,
    check_cookies,
    check_domain_conditions,
    check_headers_field,
    check_method,
    check_optional_url,
    check_proxy,
    check_url_field,
    content_type_of,
    each,
    parse_proxy,
    version_errors,
)
from apps.checks.types.http_visit import METHODS_WITHOUT_BODY, Redirecting
from apps.checks.types.json_schemas import check_schema
from apps.checks.types.oauth import ClientCredentials, TokenKeeper
from apps.checks.types.patterns import check_pattern
from apps.checks.types.rule_lines import parse_header_rule, parse_json_rule
from apps.checks.types.status_set import StatusSet, check_status_set, parse_status_set
from apps.core.http.curl import MEBIBYTE, Extras, HttpVersion, OutboundRequest
from apps.core.http.headers import BadHeader, header_lines
from apps.core.http.urls import ParsedUrl, check_url
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Widget, setting

BODY_ASSERTIONS = ("keyword", "present", "patterns", "json_rules", "json_schema", "min_body_bytes")


@dataclass(frozen=True, kw_only=True)
class HttpConfig(BaseConfig):
    """What an HTTP check asks, and what it wants to hear."""

    url: str = setting(
        label=_("URL"),
        help=_("The full address, such as https://example.com/health."),
        widget=Widget.URL,
        placeholder="https://example.com/health",
        check=check_url_field,
    )
    method: str = setting(
        "GET",
        label=_("Method"),
        help=_("GET, HEAD, POST or any other that the server knows."),
        max_length=40,
        check=check_method,
    )
    headers: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Headers"),
        help=_("One “Name: value” a line. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
        check=check_headers_field,
    )
    body: str = setting("", label=_("Body"), help=_("Sent as it stands."), widget=Widget.AREA, max_length=64_000)
    auth: str = setting("", label=_("Sign-in"), choices=tuple(Auth.choices))
    username: str = setting("", label=_("User name"), help=_("For Basic."), max_length=500)
    password: str = setting(
        "", label=_("Password"), help=_("For Basic."), is_secret=True, widget=Widget.SECRET, max_length=1_000
    )
    token: str = setting(
        "", label=_("Token"), help=_("For Bearer."), is_secret=True, widget=Widget.SECRET, max_length=8_000
    )
    oauth_token_url: str = setting(
        "",
        label=_("Token URL"),
        help=_("For OAuth 2: where the token is asked for. It is kept until it ends."),
        widget=Widget.URL,
        check=check_optional_url,
    )
    oauth_client_id: str = setting("", label=_("Client ID"), help=_("For OAuth 2."), max_length=500)
    oauth_client_secret: str = setting(
        "", label=_("Client secret"), help=_("For OAuth 2."), is_secret=True, widget=Widget.SECRET, max_length=2_000
    )
    oauth_scope: str = setting(
        "", label=_("Scope"), help=_("For OAuth 2; several are separated by spaces."), max_length=1_000
    )
    oauth_in_body: bool = setting(
        False,
        label=_("Send the client's credentials in the body"),
        help=_("For OAuth 2 servers that do not take them as a header."),
    )
    cookies: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Cookies"),
        help=_("One “Name: value” a line, sent to the URL's host. Values are stored encrypted."),
        is_secret=True,
        max_length=4_000,
        check=check_cookies,
    )
    keeps_cookies: bool = setting(
        False,
        label=_("Keep cookies"),
        help=_("Send cookies that the server sets along its redirects back to it, until the probe ends."),
    )
    expected_status: str = setting(
        "200-299",
        label=_("Expected status"),
        help=_("Single codes, ranges or classes, separated by commas: 200-299, 301, 4xx."),
        max_length=200,
        check=check_status_set,
    )
    keyword: str = setting(
        "",
        label=_("Keyword"),
        help=_("Text that the answer must contain, looked for in its first MiB; upper and lower case matter."),
        max_length=500,
    )
    keyword_absent: bool = setting(
        False,
        label=_("Keyword must be absent"),
        help=_("Fail when the keyword is found instead of when it is missing."),
    )
    present: list[str] = setting(  # noqa: RUF009 - it makes a field
        list, label=_("Texts that must be there"), help=_("One a line."), max_length=8_000, check=each(str)
    )
    absent: list[str] = setting(  # noqa: RUF009 - it makes a field
        list, label=_("Texts that must be absent"), help=_("One a line."), max_length=8_000, check=each(str)
    )
    patterns: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Patterns that must fit"),
        help=_("Regular expressions, one a line, looked for in the answer's first MiB."),
        max_length=8_000,
        check=each(check_pattern),
    )
    patterns_absent: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Patterns that must not fit"),
        help=_("Regular expressions, one a line."),
        max_length=8_000,
        check=each(check_pattern),
    )
    header_rules: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Rules for headers"),
        help=_("One a line, such as “Content-Type: ~ json”. Operators: == != ~ !~ contains exists absent."),
        max_length=8_000,
        check=each(parse_header_rule),
    )
    json_rules: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Rules for JSON"),
        help=_(
            "JSONPath, operator and value, one a line: $.items count >= 3. Besides those for headers: < <= > >= count."
        ),
        max_length=8_000,
        check=each(parse_json_rule),
    )
    json_schema: str = setting(
        "",
        label=_("JSON Schema"),
        help=_("The answer must keep it. References to other documents are not followed."),
        widget=Widget.CODE,
        max_length=64_000,
        check=check_schema,
    )
    min_body_bytes: int = setting(0, label=_("Smallest answer"), help=_("In bytes; 0 for any."), low=0, high=MEBIBYTE)
    max_body_bytes: int = setting(
        0, label=_("Largest answer"), help=_("In bytes; 0 for any."), low=0, high=MEBIBYTE - 1
    )
    max_response_ms: int = setting(
        0,
        label=_("Longest response time"),
        help=_("In milliseconds, redirects included; 0 for any."),
        low=0,
        high=600_000,
    )
    certificate_days: int = setting(
        0, label=_("Certificate's days left"), help=_("Fail when it ends sooner; 0 for no limit."), low=0, high=3_650
    )
    certificate_issuer: str = setting(
        "", label=_("Certificate's issuer"), help=_("A part of the name, such as Let's Encrypt."), max_length=200
    )
    conditions: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Conditions"),
        help=_("In Gatus' language, one a line: [BODY].status == UP. The expected status applies as well."),
        max_length=8_000,
        check=check_domain_conditions,
    )
    follow_redirects: bool = setting(
        True,
        label=_("Follow redirects"),
        help=_("Headers, credentials and client certificates set here are sent to the first host only."),
    )
    max_redirects: int = setting(10, label=_("Most redirects"), low=1, high=20)
    same_host_redirects: bool = setting(
        False, label=_("Redirects to the same host only"), help=_("Fail when a redirect leads to another host.")
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    http_version: str = setting(
        HttpVersion.AUTO.value,
        label=_("HTTP version"),
        help=_("HTTP/2 and HTTP/3 fail where the server does not speak them."),
        choices=HTTP_VERSIONS,
    )
    client_certificate: str = setting(
        "", label=_("Client certificate"), help=_("PEM, for mutual TLS."), widget=Widget.CODE, max_length=32_000
    )
    client_key: str = setting(
        "",
        label=_("Client key"),
        help=_("PEM, without a password. It is stored encrypted."),
        is_secret=True,
        widget=Widget.CODE,
        max_length=16_000,
    )
    proxy: str = setting(
        "",
        label=_("Proxy"),
        help=_("http://host:port or socks5://host:port. It then looks up and reaches the target, not this prober."),
        max_length=300,
        check=check_proxy,
    )
    proxy_username: str = setting("", label=_("Proxy's user name"), max_length=200)
    proxy_password: str = setting("", label=_("Proxy's password"), is_secret=True, widget=Widget.SECRET, max_length=200)

    def clean(self) -> None:
        errors: Errors = {
            **{name: _("This cannot be empty.") for name in ("method", "expected_status") if not getattr(self, name)},
            **self._body_errors(),
            **self._auth_errors(),
            **version_errors(self.http_version, self.address.scheme, by_proxy=bool(self.proxy)),
            **certificate_errors(self.client_certificate, self.client_key),
        }
        if self.keyword_absent and not self.keyword:
            errors["keyword"] = _("Say which text must be absent.")
        if self.cookies and any(name.lower() == "cookie" for name in self.headers):
            errors["cookies"] = _("Set cookies here or as a header, not both.")
        if self.max_body_bytes and self.max_body_bytes < self.min_body_bytes:
            errors["max_body_bytes"] = _("The largest answer is smaller than the smallest.")
        if (self.certificate_days or self.certificate_issuer) and self.address.scheme != "https":
            errors["certificate_days" if self.certificate_days else "certificate_issuer"] = _(
                "Only an https address has a certificate."
            )
        if self.asks_domain and (self.address.literal_ip or "." not in self.address.host):
            errors["conditions"] = _("[DOMAIN_EXPIRATION] needs an address with a domain.")
        if errors:
            raise ValidationError(errors)

    def _body_errors(self) -> Errors:
        errors: Errors = {}
        if self.body and self.method in METHODS_WITHOUT_BODY:
            errors["body"] = _("GET and HEAD send no body; choose another method or empty the body.")
        for name in BODY_ASSERTIONS if self.method == "HEAD" else ():
            if getattr(self, name):
                errors[name] = _("The answer to HEAD has no text; choose another method or empty this.")
        return errors

    def _auth_errors(self) -> Errors:
        errors: Errors = {}
        needed = {
            Auth.BASIC: ("username",),
            Auth.BEARER: ("token",),
            Auth.OAUTH: ("oauth_token_url", "oauth_client_id", "oauth_client_secret"),
        }.get(Auth(self.auth), ())
        for name in needed:
            if not getattr(self, name):
                errors[name] = _("This sign-in needs it.")
        if self.auth and any(name.lower() == "authorization" for name in self.headers):
            errors["headers"] = _("Sign in here or by an Authorization header, not both.")
        if self.auth == Auth.BASIC and ":" in self.username:
            errors["username"] = _("Basic allows no colon in a user name.")
        try:
            header_lines(self._authorization)
        except BadHeader:
            errors["token"] = _("A token is one line without control characters.")
        return errors

    # Prepared once per configuration, since each is probed thousands of times.

    @cached_property
    def address(self) -> ParsedUrl:
        return check_url(self.url)

    @cached_property
    def request(self) -> OutboundRequest:
        body = self.body.encode() if self.body else None
        headers = {**self.headers, **self._authorization}
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = content_type_of(self.body)
        return OutboundRequest(
            method=self.method,
            url=self.address.url,
            header_lines=header_lines(headers, has_body=body is not None),
            body=body,
            verify_tls=self.verify_tls,
            http_version=HttpVersion(self.http_version),
            extras=self._extras,
        )

    @cached_property
    def statuses(self) -> StatusSet:
        return parse_status_set(self.expected_status)

    @cached_property
    def redirecting(self) -> Redirecting:
        return Redirecting(self.follow_redirects, self.max_redirects, self.same_host_redirects)

    @cached_property
    def asks_domain(self) -> bool:
        return any("[DOMAIN_EXPIRATION]" in condition.upper() for condition in self.conditions)

    @cached_property
    def token_keeper(self) -> TokenKeeper | None:
        if self.auth != Auth.OAUTH:
            return None
        return TokenKeeper(
            ClientCredentials(
                token_url=self.oauth_token_url,
                client_id=self.oauth_client_id,
                client_secret=self.oauth_client_secret,
                scope=self.oauth_scope,
                in_body=self.oauth_in_body,
                verify_tls=self.verify_tls,
                extras=Extras(proxy=self._extras.proxy) if self._extras and self._extras.proxy else None,
            )
        )

    @cached_property
    def assertions(self) -> tuple[Assertion, ...]:
        """What is judged beyond status and keyword, in the order in which it is judged."""
        return tuple(self._assertions())

    def new_jar(self) -> CookieJar | None:
        """Return the cookies of one probe, or None where it sends none."""
        if not self.cookies and not self.keeps_cookies:
            return None
        jar = CookieJar()
        jar.put(self.address.host, self.cookies)
        return jar

    @property
    def _authorization(self) -> dict[str, str]:
        if self.auth == Auth.BASIC:
            return {"Authorization": basic_authorization(self.username, self.password)}
        return {"Authorization": f"Bearer {self.token}"} if self.auth == Auth.BEARER else {}

    @cached_property
    def _extras(self) -> Extras | None:
        asked = " ".join(self.conditions).upper()
        extras = Extras(
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            proxy=parse_proxy(self.proxy, self.proxy_username, self.proxy_password) if self.proxy else None,
            keeps_headers=bool(self.header_rules or self.cookies or self.keeps_cookies or "[HEADER]" in asked),
            reads_certificate=bool(
                self.certificate_days or self.certificate_issuer or "[CERTIFICATE_EXPIRATION]" in asked
            ),
        )
        return extras if extras != Extras() else None

    def _assertions(self) -> Iterator[Assertion]:
        yield from (assertions.contains(text) for text in self.present)
        yield from (assertions.contains(text, is_absent=True) for text in self.absent)
        yield from (assertions.matches(pattern) for pattern in self.patterns)
        yield from (assertions.matches(pattern, is_absent=True) for pattern in self.patterns_absent)
        yield from (assertions.header_keeps(line) for line in self.header_rules)
        yield from (assertions.json_keeps(line) for line in self.json_rules)
        if self.json_schema.strip():
            yield assertions.schema_holds(self.json_schema)
        if self.min_body_bytes or self.max_body_bytes:
            yield assertions.has_size(self.min_body_bytes, self.max_body_bytes)
        if self.max_response_ms:
            yield assertions.comes_within(self.max_response_ms)
        if self.certificate_days:
            yield assertions.certificate_lasts(self.certificate_days)
        if self.certificate_issuer:
            yield assertions.issued_by(self.certificate_issuer)
        yield from (assertions.condition_holds(condition) for condition in self.conditions)
