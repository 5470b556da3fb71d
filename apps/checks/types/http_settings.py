"""The settings of an HTTP check, in the order and under the titles in which forms show them."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from apps.checks.types.http_fields import (
    HTTP_VERSIONS,
    Auth,
    check_cookies,
    check_domain_conditions,
    check_headers_field,
    check_method,
    check_optional_url,
    check_url_field,
    each,
)
from apps.checks.types.json_schemas import check_schema
from apps.checks.types.patterns import check_pattern
from apps.checks.types.rule_lines import parse_header_rule, parse_json_rule
from apps.checks.types.status_set import check_status_set
from apps.checks.types.way_out import (
    CONNECTION,
    client_certificate_setting,
    client_key_setting,
    proxy_password_setting,
    proxy_setting,
    proxy_username_setting,
)
from apps.core.http.curl import MEBIBYTE, HttpVersion
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Widget, setting

REQUEST, SIGN_IN = _("Request"), _("Sign-in and cookies")
ANSWER = _("What the answer must be")


@dataclass(frozen=True, kw_only=True)
class HttpSettings(BaseConfig):
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
        section=REQUEST,
        label=_("Method"),
        help=_("GET, HEAD, POST or any other that the server knows."),
        max_length=40,
        check=check_method,
    )
    headers: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        section=REQUEST,
        label=_("Headers"),
        help=_("One “Name: value” a line. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
        check=check_headers_field,
    )
    body: str = setting(
        "", section=REQUEST, label=_("Body"), help=_("Sent as it stands."), widget=Widget.AREA, max_length=64_000
    )
    auth: str = setting("", section=SIGN_IN, label=_("Sign-in"), choices=tuple(Auth.choices))
    username: str = setting("", section=SIGN_IN, label=_("User name"), help=_("For Basic."), max_length=500)
    password: str = setting(
        "",
        section=SIGN_IN,
        label=_("Password"),
        help=_("For Basic."),
        is_secret=True,
        widget=Widget.SECRET,
        max_length=1_000,
    )
    token: str = setting(
        "",
        section=SIGN_IN,
        label=_("Token"),
        help=_("For Bearer."),
        is_secret=True,
        widget=Widget.SECRET,
        max_length=8_000,
    )
    oauth_token_url: str = setting(
        "",
        section=SIGN_IN,
        label=_("Token URL"),
        help=_("For OAuth 2: where the token is asked for. It is kept until it ends."),
        widget=Widget.URL,
        check=check_optional_url,
    )
    oauth_client_id: str = setting("", section=SIGN_IN, label=_("Client ID"), help=_("For OAuth 2."), max_length=500)
    oauth_client_secret: str = setting(
        "",
        section=SIGN_IN,
        label=_("Client secret"),
        help=_("For OAuth 2."),
        is_secret=True,
        widget=Widget.SECRET,
        max_length=2_000,
    )
    oauth_scope: str = setting(
        "", section=SIGN_IN, label=_("Scope"), help=_("For OAuth 2; several are separated by spaces."), max_length=1_000
    )
    oauth_in_body: bool = setting(
        False,
        section=SIGN_IN,
        label=_("Send the client's credentials in the body"),
        help=_("For OAuth 2 servers that do not take them as a header."),
    )
    cookies: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        section=SIGN_IN,
        label=_("Cookies"),
        help=_("One “Name: value” a line, sent to the URL's host. Values are stored encrypted."),
        is_secret=True,
        max_length=4_000,
        check=check_cookies,
    )
    keeps_cookies: bool = setting(
        False,
        section=SIGN_IN,
        label=_("Keep cookies"),
        help=_("Send cookies that the server sets along its redirects back to it, until the probe ends."),
    )
    expected_status: str = setting(
        "200-299",
        section=ANSWER,
        label=_("Expected status"),
        help=_("Single codes, ranges or classes, separated by commas: 200-299, 301, 4xx."),
        max_length=200,
        check=check_status_set,
    )
    keyword: str = setting(
        "",
        section=ANSWER,
        label=_("Keyword"),
        help=_("Text that the answer must contain, looked for in its first MiB; upper and lower case matter."),
        max_length=500,
    )
    keyword_absent: bool = setting(
        False,
        section=ANSWER,
        label=_("Keyword must be absent"),
        help=_("Fail when the keyword is found instead of when it is missing."),
    )
    present: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Texts that must be there"),
        help=_("One a line."),
        max_length=8_000,
        check=each(str),
    )
    absent: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Texts that must be absent"),
        help=_("One a line."),
        max_length=8_000,
        check=each(str),
    )
    patterns: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Patterns that must fit"),
        help=_("Regular expressions, one a line, looked for in the answer's first MiB."),
        max_length=8_000,
        check=each(check_pattern),
    )
    patterns_absent: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Patterns that must not fit"),
        help=_("Regular expressions, one a line."),
        max_length=8_000,
        check=each(check_pattern),
    )
    header_rules: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Rules for headers"),
        help=_("One a line, such as “Content-Type: ~ json”. Operators: == != ~ !~ contains exists absent."),
        max_length=8_000,
        check=each(parse_header_rule),
    )
    json_rules: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Rules for JSON"),
        help=_(
            "JSONPath, operator and value, one a line: $.items count >= 3. "
            "Besides those for headers: < <= > >= count, text ==, number >=."
        ),
        max_length=8_000,
        check=each(parse_json_rule),
    )
    json_schema: str = setting(
        "",
        section=ANSWER,
        label=_("JSON Schema"),
        help=_("The answer must keep it. References to other documents are not followed."),
        widget=Widget.CODE,
        max_length=64_000,
        check=check_schema,
    )
    min_body_bytes: int = setting(
        0,
        section=ANSWER,
        label=_("Smallest answer"),
        help=_("In bytes as sent, compressed or not; 0 for any."),
        low=0,
        high=MEBIBYTE,
    )
    max_body_bytes: int = setting(
        0,
        section=ANSWER,
        label=_("Largest answer"),
        help=_("In bytes as sent, compressed or not; 0 for any."),
        low=0,
        high=MEBIBYTE - 1,
    )
    max_response_ms: int = setting(
        0,
        section=ANSWER,
        label=_("Longest response time"),
        help=_("In milliseconds, redirects included; 0 for any."),
        low=0,
        high=600_000,
    )
    certificate_days: int = setting(
        0,
        section=ANSWER,
        label=_("Certificate's days left"),
        help=_("Fail when it, or an issuer's that the server sends, ends sooner; 0 for no limit."),
        low=0,
        high=3_650,
    )
    certificate_issuer: str = setting(
        "",
        section=ANSWER,
        label=_("Certificate's issuer"),
        help=_("A part of the name, such as Let's Encrypt."),
        max_length=200,
    )
    conditions: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        section=ANSWER,
        label=_("Conditions"),
        help=_("In Gatus' language, one a line: [BODY].status == UP. The expected status applies as well."),
        max_length=8_000,
        check=check_domain_conditions,
    )
    follow_redirects: bool = setting(
        True,
        section=CONNECTION,
        label=_("Follow redirects"),
        help=_("Credentials, client certificates and headers of your own are sent to the first host only."),
    )
    max_redirects: int = setting(10, section=CONNECTION, label=_("Most redirects"), low=1, high=20)
    same_host_redirects: bool = setting(
        False,
        section=CONNECTION,
        label=_("Redirects to the same host only"),
        help=_("Fail when a redirect leads to another host."),
    )
    verify_tls: bool = setting(
        True,
        section=CONNECTION,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    http_version: str = setting(
        HttpVersion.AUTO.value,
        section=CONNECTION,
        label=_("HTTP version"),
        help=_("HTTP/2 and HTTP/3 fail where the server does not speak them."),
        choices=HTTP_VERSIONS,
    )
    client_certificate: str = client_certificate_setting(_("PEM, for mutual TLS."))
    client_key: str = client_key_setting()
    proxy: str = proxy_setting(
        _("http://host:port or socks5://host:port. It then looks up and reaches the target, not this prober.")
    )
    proxy_username: str = proxy_username_setting()
    proxy_password: str = proxy_password_setting()
