"""The domain check: how long a registration lasts, and whether it is held back or points elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.base import NO_VALUES, Fact, Group, Outcome, ProbeContext
from apps.checks.types.hosts import NetworkConfig
from apps.checks.types.http_visit import Visit, outcome_of
from apps.checks.types.messages import Message
from apps.checks.types.rdap import Registration, RegistryFailure, look_up
from apps.core import clock
from apps.core.http.urls import BadUrl, check_host
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

DAY = timedelta(days=1)
# In these a domain is not, or not much longer, in the DNS (RFC 8056 gives RDAP's words for EPP's).
HELD = frozenset({"client hold", "server hold", "redemption period", "pending delete"})

Judgement = tuple[Verdict, str, Mapping[str, str | int]]


def _check_domain(name: str) -> None:
    try:
        host, literal = check_host(name)
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error
    if literal or "." not in host.rstrip("."):
        raise ValidationError(_("Give a domain, such as example.com."), code="domain")


@dataclass(frozen=True, kw_only=True)
class DomainConfig(NetworkConfig):
    """Whose registration a domain check looks at."""

    domain: str = setting(label=_("Domain"), placeholder="example.com", max_length=255, check=_check_domain)
    warn_days: int = setting(
        30, label=_("Warn below (days)"), help=_("The check is degraded when it ends sooner."), low=0, high=3_650
    )
    fail_days: int = setting(
        7, label=_("Fail below (days)"), help=_("The check fails when it ends sooner."), low=0, high=3_650
    )
    name_servers: str = setting(
        "",
        label=_("Name servers"),
        help=_("One a line; the check fails when the registry lists others. Empty: any."),
        widget=Widget.AREA,
        max_length=4_000,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if not errors and self.fail_days > self.warn_days:
            errors["fail_days"] = _("This must not be more than the days of the warning.")
        return errors

    @cached_property
    def name(self) -> str:
        return check_host(self.domain)[0].rstrip(".")

    @cached_property
    def servers(self) -> frozenset[str]:
        lines = (line.strip().lower().rstrip(".") for line in self.name_servers.splitlines())
        return frozenset(line for line in lines if line)


class DomainCheck:
    """Asks the registry about a domain."""

    kind: ClassVar[str] = "domain"
    label: ClassVar[Text] = _("Domain registration")
    help: ClassVar[Text] = _("Warns before a domain's registration ends. Registries are asked once an hour at most.")
    icon: ClassVar[str] = "world-www"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = DomainConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "domain_ends_soon": (_("The registration ends in %(days)s days, on %(date)s."), _("Renew the domain.")),
        "domain_expired": (
            _("The registration ended on %(date)s."),
            _("Renew the domain now, before somebody else can register it."),
        ),
        "domain_held": (
            _("The registry holds the domain back (%(status)s)."),
            _("Ask the registrar: a bill, a confirmation or a dispute may be open."),
        ),
        "domain_unregistered": (
            _("The domain %(domain)s is not registered."),
            _("Check its spelling; if it is yours, register it at once."),
        ),
        "domain_servers_unmet": (
            _("The registry lists other name servers: %(found)s."),
            _("If you have not moved the domain, ask the registrar who did."),
        ),
        "domain_end_unknown": (
            _("The registry does not tell when the registration ends."),
            _("Set both numbers of days to 0 to check the rest, and note the date elsewhere."),
        ),
        "rdap_unsupported": (
            _("The registry of .%(domain)s answers no questions by RDAP."),
            _("Such a domain cannot be checked; note its date elsewhere."),
        ),
        "rdap_unreachable": (
            _("The registry's server %(server)s could not be asked (%(detail)s)."),
            _("Nothing is needed from you: this says nothing of the domain."),
        ),
        "rdap_limited": (
            _("The registry's server %(server)s has had enough questions for now."),
            _("Nothing is needed from you; a longer interval helps."),
        ),
        "rdap_unreadable": (
            _("The registry's server %(server)s gave an answer that cannot be read."),
            _("Nothing is needed from you: this says nothing of the domain."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "days_left": Fact(_("Days left"), _("days")),
        "expires_at": Fact(_("Registered until")),
        "registered_at": Fact(_("Registered since")),
        "registrar": Fact(_("Registrar")),
        "status": Fact(_("Registry's status")),
        "name_servers": Fact(_("Name servers")),
        "domain": Fact(_("Domain")),
    }

    def sample(self) -> DomainConfig:
        return DomainConfig(domain="example.com", warn_days=45)

    def target(self, config: BaseConfig) -> str:
        return cast("DomainConfig", config).domain

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("DomainConfig", config)
        try:
            registration, seen = await look_up(wanted.name, context)
        except RegistryFailure as failure:
            verdict = Verdict.UNKNOWN if failure.is_ours else Verdict.FAILURE
            return _outcome((verdict, failure.code, failure.values), {}, failure.seen)
        return _outcome(_judge(wanted, registration), _facts(registration), seen)


def _outcome(judgement: Judgement, details: Mapping[str, Any], seen: Visit | None) -> Outcome:
    verdict, code, values = judgement
    if seen is None:
        return Outcome(verdict, code, values, total_ms=0.0, details=details)
    # The certificate is the registry's, not the domain's.
    outcome = outcome_of(seen.steps, code=code, values=values, details=details)
    return replace(outcome, verdict=verdict, cert_expires_at=None, certificates=())


def _facts(registration: Registration) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "domain": registration.domain,
        "registrar": registration.registrar,
        "status": list(registration.statuses),
        "name_servers": list(registration.name_servers),
    }
    if registration.registered_at:
        facts["registered_at"] = registration.registered_at.isoformat()
    if registration.expires_at:
        facts["expires_at"] = registration.expires_at.isoformat()
        facts["days_left"] = (registration.expires_at - clock.now()) // DAY
    return facts


def _judge(wanted: DomainConfig, registration: Registration) -> Judgement:
    held = sorted(HELD.intersection(registration.statuses))
    if held:
        return Verdict.FAILURE, "domain_held", {"status": ", ".join(held)}
    if wanted.servers and wanted.servers != set(registration.name_servers):
        found = ", ".join(registration.name_servers)[:500] or "–"
        return Verdict.FAILURE, "domain_servers_unmet", {"found": found}
    return _judge_end(wanted, registration)


def _judge_end(wanted: DomainConfig, registration: Registration) -> Judgement:
    ends = registration.expires_at
    if ends is None:
        asked = wanted.warn_days or wanted.fail_days
        return (Verdict.UNKNOWN, "domain_end_unknown", NO_VALUES) if asked else (Verdict.SUCCESS, "", NO_VALUES)
    left = ends - clock.now()
    date = f"{ends:%Y-%m-%d}"
    if left < timedelta():
        return Verdict.FAILURE, "domain_expired", {"date": date}
    values: Mapping[str, str | int] = {"days": left // DAY, "date": date}
    if left < wanted.fail_days * DAY:
        return Verdict.FAILURE, "domain_ends_soon", values
    if left < wanted.warn_days * DAY:
        return Verdict.DEGRADED, "domain_ends_soon", values
    return Verdict.SUCCESS, "", NO_VALUES
