"""The multi-step check: requests one after the other, each with what the ones before it brought."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.answers import Answer
from apps.checks.types.assertions import ASSERTION_MESSAGES, Finding, condition_holds, judge_each, shown
from apps.checks.types.base import NO_VALUES, Exchange, Fact, Group, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.cookies import CookieJar
from apps.checks.types.effort import Effort
from apps.checks.types.filling import CONDITION_ROOM, FilledTooLong, Filling
from apps.checks.types.hiding import without_secrets
from apps.checks.types.http_fields import basic_pair, certificate_errors, parse_proxy
from apps.checks.types.http_visit import Redirecting, Visit, outcome_of, visit
from apps.checks.types.messages import Message
from apps.checks.types.status_set import parse_status_set
from apps.checks.types.steps import (
    NAME,
    NothingExtracted,
    Step,
    check_steps,
    extracted,
    parse_steps,
)
from apps.checks.types.way_out import (
    CONNECTION,
    client_certificate_setting,
    client_key_setting,
    proxy_password_setting,
    proxy_setting,
    proxy_username_setting,
)
from apps.core.http.curl import Extras, OutboundRequest
from apps.core.http.headers import BadHeader, header_lines
from apps.core.http.urls import BadUrl, ParsedUrl, check_url
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

MAX_DETAILS = 3_600  # bytes
MAX_SHOWN_NAME = 24
SHORTEST_TOKEN = 8  # characters; a shorter value, such as "json" or "1234", stands in many a body by chance
EXAMPLE = """[
  {"url": "https://shop.example/login", "method": "POST", "extract": {"token": "json: $.token"}},
  {"url": "https://shop.example/orders", "headers": {"Authorization": "Bearer {{token}}"}}
]"""


def _check_secrets(secrets: Mapping[str, str]) -> None:
    for name in secrets:
        if not NAME.fullmatch(name):
            raise ValidationError(
                _("“%(name)s” is no name for a variable: use letters, digits and underscores."),
                code="name",
                params={"name": name[:40]},
            )


@dataclass(frozen=True, kw_only=True)
class MultistepConfig(BaseConfig):
    """The steps, and what they may use."""

    steps: list[dict[str, Any]] = setting(  # noqa: RUF009 - it makes a field
        label=_("Steps"),
        help=_(
            "An array of objects with name, method, url, headers, body, expected_status, conditions (in Gatus' language) "
            'and extract, such as {"token": "json: $.token"}. Later steps use it as {{token}}.'
        ),
        placeholder=EXAMPLE,
        widget=Widget.CODE,
        max_length=64_000,
        check=check_steps,
    )
    secrets: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Secrets"),
        help=_("One “name: value” a line, used in steps as {{name}}. They are stored encrypted and never shown."),
        is_secret=True,
        max_length=16_000,
        check=_check_secrets,
    )
    follow_redirects: bool = setting(
        True, section=CONNECTION, label=_("Follow redirects"), help=_("At most ten in each step.")
    )
    verify_tls: bool = setting(
        True,
        section=CONNECTION,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    client_certificate: str = client_certificate_setting(
        _("PEM, for mutual TLS. It is shown to the hosts that the steps name, not to those that they redirect to.")
    )
    client_key: str = client_key_setting()
    proxy: str = proxy_setting(
        _("http://host:port or socks5://host:port. It then looks up and reaches the targets, not this prober.")
    )
    proxy_username: str = proxy_username_setting()
    proxy_password: str = proxy_password_setting()

    def clean(self) -> None:
        if errors := certificate_errors(self.client_certificate, self.client_key):
            raise ValidationError(errors)
        known = set(self.secrets)
        for number, step in enumerate(self.plan, 1):
            unknown = sorted(step.used_variables() - known)
            if unknown:
                message = _("Step %(number)s uses {{%(name)s}}, which no earlier step extracts and no secret is named.")
                raise ValidationError({"steps": message % {"number": number, "name": unknown[0]}})
            known |= set(step.extract)

    @cached_property
    def plan(self) -> tuple[Step, ...]:
        return parse_steps(self.steps)

    @cached_property
    def redirecting(self) -> Redirecting:
        return Redirecting(self.follow_redirects)

    @cached_property
    def extras(self) -> Extras:
        return Extras(
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            proxy=parse_proxy(self.proxy, self.proxy_username, self.proxy_password) if self.proxy else None,
            keeps_headers=True,
        )

    @property
    def made_secrets(self) -> tuple[str, ...]:
        """What a proxy is told instead of the password itself."""
        return (basic_pair(self.proxy_username, self.proxy_password),) if self.proxy_password else ()


class _Run:
    """One walk through the steps."""

    def __init__(self, config: MultistepConfig, context: ProbeContext) -> None:
        self._config, self._context = config, context
        self._deadline = monotonic() + context.timeout_seconds
        self._jar = CookieJar()
        self._variables = dict(config.secrets)
        self._exchanges: list[Exchange] = []
        self._findings: list[Finding] = []
        self._steps: list[dict[str, Any]] = []
        self._visits = 0
        self._effort = Effort()  # of all steps together

    async def outcome(self) -> Outcome:
        for step in self._config.plan:
            failed, is_ours = await self._take(step)
            if failed.code:
                return self._outcome(step, failed, is_ours)
        return self._outcome(None, Finding(""), False)

    async def _take(self, step: Step) -> tuple[Finding, bool]:
        """Take one step; return what failed (an empty code for nothing), and whether the fault is ours."""
        try:
            request, address = self._request(step)
        except (BadUrl, BadHeader, FilledTooLong) as error:
            failed = _unusable(error)
            self._note(step, None, failed)
            return failed, False
        for exchange in self._exchanges[-1:]:  # a MiB of each step would be kept to the end
            exchange.reply.forget()
        visited = await visit(
            request,
            address,
            self._config.redirecting,
            context=self._context,
            deadline=self._deadline,
            jar=self._jar,
            secrets=self._kept_at_home(),
        )
        self._visits += 1
        self._exchanges += visited.steps
        failed = self._judge(step, visited)
        self._note(step, visited, failed)
        return failed, visited.is_ours

    def _request(self, step: Step) -> tuple[OutboundRequest, ParsedUrl]:
        filling = Filling(self._variables)
        address = check_url(filling.url(step.url))
        headers = {name: filling.text(value) for name, value in step.headers.items()}
        body, content_type = filling.body(step.body)
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = content_type
        wants_certificate = any("[CERTIFICATE_EXPIRATION]" in line.upper() for line in step.conditions)
        request = OutboundRequest(
            method=step.method,
            url=address.url,
            header_lines=header_lines(headers, has_body=body is not None),
            body=body,
            verify_tls=self._config.verify_tls,
            extras=replace(self._config.extras, reads_certificate=wants_certificate),
        )
        return request, address

    def _judge(self, step: Step, visited: Visit) -> Finding:
        if visited.code:
            return Finding(visited.code.replace("_", " "), visited.code, visited.values)
        answer = visited.answer()
        findings = list(self._asserted(step, answer))
        self._findings += [
            finding._replace(text=f"{step.name[:MAX_SHOWN_NAME]}: {finding.text}") for finding in findings
        ]
        failed = next((finding for finding in findings if finding.code), None)
        if failed is not None:
            return failed
        try:
            with self._effort:
                self._variables.update(extracted(step, answer))
        except NothingExtracted as error:
            name, source = error.args
            return Finding(f"{name} ({source})", "extract_failed", {"variable": name, "source": source[:120]})
        except ProbeFailure as failure:
            return Finding(failure.code.replace("_", " "), failure.code, failure.values)
        return Finding("")

    def _asserted(self, step: Step, answer: Answer) -> list[Finding]:
        status = answer.reply.status
        text = f"{status} in {step.expected_status}"
        if status in parse_status_set(step.expected_status):
            first = Finding(text)
        else:
            first = Finding(text, "status_mismatch", {"status": status, "expected": step.expected_status})
        try:
            conditions = [
                condition_holds(condition, Filling(self._variables, CONDITION_ROOM).condition(condition))
                for condition in step.conditions
            ]
        except FilledTooLong as error:
            return [first, _unusable(error)]
        return [first, *judge_each(conditions, answer, self._effort)]

    def _note(self, step: Step, visited: Visit | None, failed: Finding) -> None:
        noted: dict[str, Any] = {"name": step.name[:MAX_SHOWN_NAME], "ok": not failed.code}
        if visited is not None:
            elapsed_us = sum(exchange.dns_us + exchange.reply.total_us for exchange in visited.steps)
            noted |= {"ms": round(elapsed_us / 1_000, 1), "status": visited.reply.status or None}
        if failed.code:
            noted["failed"] = self._hidden(failed.text)[:160]
        self._steps.append(noted)

    def _outcome(self, step: Step | None, failed: Finding, is_ours: bool) -> Outcome:
        values = dict(failed.values)
        if step is not None:
            values = {name: self._hidden(value) for name, value in values.items()} | {"in_step": step.name}
        findings = [finding._replace(text=self._hidden(finding.text)) for finding in self._findings]
        room = MAX_DETAILS - len(json.dumps(self._steps, ensure_ascii=False).encode())
        details = {"steps": self._steps, "conditions": shown(findings, room=room)}
        if not self._exchanges:
            return Outcome(verdict=Verdict.FAILURE, error_code=failed.code, error_values=values, details=details)
        made = outcome_of(
            self._exchanges, code=failed.code, values=values or NO_VALUES, is_ours=is_ours, details=details
        )
        return replace(made, redirects=len(self._exchanges) - self._visits)

    def _kept_at_home(self) -> tuple[str, ...]:
        """Return what is told to no other owner's host: the secrets, and what was extracted and may be a token."""
        tokens = (value for value in self._variables.values() if len(value) >= SHORTEST_TOKEN)
        return *self._config.secrets.values(), *tokens

    def _hidden(self, value: Any) -> Any:
        """Return a text without the values of secrets and of what steps extracted, which is often a token."""
        if not isinstance(value, str):
            return value
        return without_secrets(value, self._variables.values())


def _unusable(error: ValueError) -> Finding:
    said = str(error)[:120]
    return Finding(said, "step_unusable", {"detail": said})


class MultistepCheck:
    """Walks through requests such as a login, and stops at the first that fails."""

    kind: ClassVar[str] = "multistep"
    label: ClassVar[Text] = _("HTTP steps")
    help: ClassVar[Text] = _(
        "Sends requests one after the other, such as a login, and carries values and cookies along."
    )
    icon: ClassVar[str] = "route"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = MultistepConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "step_unusable": (
            _("The request could not be made (%(detail)s)."),
            _("Look at the values that earlier steps extracted and that this step puts in."),
        ),
        "extract_failed": (
            _("The answer has no value for %(variable)s (%(source)s)."),
            _("Look at the answer, or change where the value is looked for."),
        ),
        **ASSERTION_MESSAGES,
    }
    facts: ClassVar[Mapping[str, Fact]] = {"steps": Fact(_("Steps")), "conditions": Fact(_("Conditions"))}

    def sample(self) -> MultistepConfig:
        sign_in = {
            "name": "Sign in",
            "method": "POST",
            "url": "https://example.com/login",
            "body": {"user": "prober", "password": "{{password}}"},
            "extract": {"token": "json: $.token"},
        }
        read = {
            "name": "Read",
            "url": "https://example.com/orders",
            "headers": {"Authorization": "Bearer {{token}}"},
            "conditions": ["len([BODY].orders) > 0"],
        }
        return MultistepConfig(steps=[sign_in, read], secrets={"password": "a-long-secret-password"})

    def target(self, config: BaseConfig) -> str:
        """Return the first step's URL without its query, variables by their names."""
        return cast("MultistepConfig", config).plan[0].url.partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        return await _Run(cast("MultistepConfig", config), context).outcome()
