"""What follows from an HTTP check's settings: whether they fit together, and what is prepared from them once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types import assertions, oauth
from apps.checks.types.assertions import Assertion
from apps.checks.types.cookies import CookieJar
from apps.checks.types.http_fields import (
    Auth,
    Errors,
    basic_authorization,
    basic_pair,
    certificate_errors,
    content_type_of,
    parse_proxy,
    version_errors,
)
from apps.checks.types.http_settings import HttpSettings
from apps.checks.types.http_visit import METHODS_WITHOUT_BODY, Redirecting
from apps.checks.types.oauth import ClientCredentials, TokenKeeper
from apps.checks.types.status_set import StatusSet, parse_status_set
from apps.core.http.curl import Extras, HttpVersion, OutboundRequest
from apps.core.http.headers import BadHeader, header_lines
from apps.core.http.urls import ParsedUrl, check_url

NOT_CONNECTED = re.compile(r"\[CONNECTED\]\s*(?:==\s*false|!=\s*true)", re.IGNORECASE)
BODY_ASSERTIONS = (
    *("keyword", "present", "absent", "patterns", "patterns_absent", "json_rules", "json_schema"),
    *("min_body_bytes", "max_body_bytes"),
)


@dataclass(frozen=True, kw_only=True)
class HttpConfig(HttpSettings):
    """The settings of an HTTP check, judged and prepared."""

    def clean(self) -> None:
        errors: Errors = {
            **{name: _("This cannot be empty.") for name in ("method", "expected_status") if not getattr(self, name)},
            **self._body_errors(),
            **self._auth_errors(),
            **version_errors(self.http_version, self.address.scheme, by_proxy=bool(self.proxy)),
            **certificate_errors(self.client_certificate, self.client_key, self.address.scheme),
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
        if self.method == "HEAD":
            given = [name for name in BODY_ASSERTIONS if getattr(self, name)]
            given += ["conditions"] if "[BODY]" in " ".join(self.conditions).upper() else []
            text = _("The answer to HEAD has no text; choose another method or empty this.")
            errors |= dict.fromkeys(given, text)
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
        return any(map(_asks_domain, self.conditions))

    @cached_property
    def expects_silence(self) -> bool:
        """Whether a condition asks that nobody answers, such as on a port that a firewall is to keep shut."""
        return any(NOT_CONNECTED.fullmatch(condition.strip()) for condition in self.conditions)

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
        return (*self._assertions(), *map(assertions.condition_holds, self.conditions))

    @cached_property
    def assertions_without_domain(self) -> tuple[Assertion, ...]:
        """What can be judged where the registry gives no word."""
        others = (condition for condition in self.conditions if not _asks_domain(condition))
        return (*self._assertions(), *map(assertions.condition_holds, others))

    def new_jar(self) -> CookieJar | None:
        """Return the cookies of one probe, or None where it sends none."""
        if not self.cookies and not self.keeps_cookies:
            return None
        jar = CookieJar()
        jar.put(self.address, self.cookies)
        return jar

    @property
    def made_secrets(self) -> tuple[str, ...]:
        """What is sent instead of the secret settings themselves, and so may be repeated too."""
        made = [basic_pair(self.username, self.password)] if self.password else []
        made += [basic_pair(self.proxy_username, self.proxy_password)] if self.proxy_password else []
        if self.oauth_client_secret:
            made += oauth.made_secrets(self.oauth_client_id, self.oauth_client_secret)
        return tuple(made)

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


def _asks_domain(condition: str) -> bool:
    return "[DOMAIN_EXPIRATION]" in condition.upper()
