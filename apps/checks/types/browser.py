"""The browser check: a journey through pages in a real Chromium, whose every request passes the address guard."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, Walk
from apps.checks.types.journeys import SECRET, Step, parse_steps, secrets_in
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting


def _check_steps_field(lines: list[str]) -> None:
    parse_steps(lines)


@dataclass(frozen=True, kw_only=True)
class BrowserConfig(BaseConfig):
    """Where to go, what to do, what to see."""

    steps: list[str] = setting(  # noqa: RUF009 - it makes a field
        label=_("Steps"),
        help=_(
            "One a line: goto URL, click SELECTOR, fill SELECTOR VALUE, press SELECTOR KEY, expect text TEXT, "
            "expect element SELECTOR, expect url PART, expect title PART, wait SECONDS. "
            "Put words with spaces in quotes; write secrets as {{name}}."
        ),
        placeholder='goto https://shop.example.com/\nexpect text "Welcome"',
        max_length=20_000,
        check=_check_steps_field,
    )
    secrets: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Secrets"),
        help=_("One “name: value” a line, for {{name}} in the steps. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )

    def clean(self) -> None:
        missing = sorted(secrets_in(self.journey) - self.secrets.keys())
        if missing:
            raise ValidationError({"secrets": _("Give the secret “%(name)s” a value.") % {"name": missing[0][:60]}})

    @cached_property
    def journey(self) -> tuple[Step, ...]:
        return parse_steps(self.steps)


class BrowserCheck:
    """Walks through pages as a person would."""

    kind: ClassVar[str] = "browser"
    label: ClassVar[Text] = _("Browser journey")
    help: ClassVar[Text] = _("Walks through your pages in a real browser: opens, clicks, types and looks.")
    icon: ClassVar[str] = "browser"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    switch: ClassVar[str] = "BROWSER_CHECKS"  # the setting without which an installation does not run it
    entitlement: ClassVar[str] = "has_browser_checks"  # what a tenant's plan must have
    Config: ClassVar[type[BaseConfig]] = BrowserConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "browser_step": (
            _("Step %(number)s, “%(step)s”, failed (%(detail)s)."),
            _("Look at the page, or correct the step."),
        ),
        "browser_too_much": (
            _("The pages moved more than %(limit)s MiB."),
            _("Visit lighter pages; a journey moves that much at most."),
        ),
        "browser_off": (
            _("This installation runs no browser checks."),
            _("Its operator can switch them on with BROWSER_CHECKS=1, where Chromium and Playwright are installed."),
        ),
        "browser_missing": (
            _("%(detail)s is not installed where this check runs."),
            _("Its operator can install Chromium and the packages of requirements/browser.txt."),
        ),
        "browser_busy": (
            _("No browser was free in time."),
            _("Allow the check more time, or check less often; browser checks run two at a time."),
        ),
        "browser_broke": (
            _("The browser itself broke (%(detail)s)."),
            _("The fault is on our side; nothing is needed from you."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "steps_ms": Fact(_("Time of each step"), _("ms")),
        "url": Fact(_("Last address")),
    }

    def sample(self) -> BrowserConfig:
        return BrowserConfig(
            steps=[
                "goto https://shop.example.com/",
                'fill "#password" "{{password}}"',
                'click "button[type=submit]"',
                'expect text "Welcome back"',
            ],
            secrets={"password": "a-long-password"},
        )

    def target(self, config: BaseConfig) -> str:
        """Return the first address without its query; never a secret."""
        first = cast("BrowserConfig", config).journey[0].words[0]
        return SECRET.sub("…", first).partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("BrowserConfig", config)

        async def talk(findings: Findings) -> None:
            if context.browser is None:
                raise ProbeFailure("browser_off", is_ours=True)
            walk = Walk()
            try:
                await context.browser.walk(
                    wanted.journey, wanted.secrets, context=context, verify_tls=wanted.verify_tls, walk=walk
                )
            finally:
                findings.details.update(_details(walk))
                findings.status_code = walk.status_code

        outcome = await run_probe(context, talk)
        # A page has many connections; only the whole has a time that means something.
        return replace(outcome, dns_ms=None, connect_ms=None, tls_ms=None, first_byte_ms=None, transfer_ms=None)


def _details(walk: Walk) -> dict[str, Any]:
    return {"steps_ms": list(walk.step_ms), "url": walk.url[:300]} if walk.url else {}
