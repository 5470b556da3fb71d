"""The ping check: how many echoes come back, how fast, how evenly."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.figures import Figure, phases
from apps.checks.types.hosts import NetworkConfig, bare_host, host_setting
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting


@dataclass(frozen=True, kw_only=True)
class IcmpConfig(NetworkConfig):
    """Whom a ping check pings, how often, and what it bears."""

    host: str = host_setting()
    count: int = setting(5, label=_("Packets"), low=1, high=20)
    interval_ms: int = setting(200, label=_("Between two packets (ms)"), low=20, high=2_000)
    wait_ms: int = setting(
        1_000, label=_("Wait for the last (ms)"), help=_("What comes later is lost."), low=50, high=10_000
    )
    size: int = setting(56, label=_("Size (bytes)"), low=8, high=1_400)
    max_loss_percent: int = setting(
        50, label=_("Fail above this loss (%)"), help=_("All lost is a failure always."), low=0, high=100
    )
    warn_loss_percent: int = setting(
        20, label=_("Warn above this loss (%)"), help=_("The check is degraded then."), low=0, high=100
    )
    max_jitter_ms: int = setting(
        0,
        label=_("Warn above this jitter (ms)"),
        help=_("The mean difference between one round trip and the next. 0: no limit."),
        low=0,
        high=10_000,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if not errors and self.warn_loss_percent > self.max_loss_percent:
            errors["warn_loss_percent"] = _("This must not be more than the loss that fails.")
        return errors


class IcmpCheck:
    """Pings a host."""

    kind: ClassVar[str] = "icmp"
    label: ClassVar[Text] = _("Ping (ICMP)")
    help: ClassVar[Text] = _("Sends echo requests; judges loss, round trip and jitter.")
    icon: ClassVar[str] = "wave-sine"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = IcmpConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "ping_unanswered": (
            _("None of %(sent)s packets came back."),
            _("Check that the host is up and that firewalls let pings through."),
        ),
        "ping_loss": (
            _("%(loss)s %% of the packets were lost; %(limit)s %% are borne."),
            _("Check the network on the way, and the host's load."),
        ),
        "ping_jitter": (
            _("The round trips differ by %(jitter)s ms; %(limit)s ms are borne."),
            _("Check the load of the network on the way."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "sent": Fact(_("Packets sent")),
        "received": Fact(_("Packets received")),
        "loss_percent": Fact(_("Loss"), "%"),
        "min_ms": Fact(_("Fastest"), _("ms")),
        "average_ms": Fact(_("Average"), _("ms")),
        "max_ms": Fact(_("Slowest"), _("ms")),
        "jitter_ms": Fact(_("Jitter"), _("ms")),
    }

    def sample(self) -> IcmpConfig:
        return IcmpConfig(host="192.0.2.1", count=5, max_jitter_ms=30)

    def target(self, config: BaseConfig) -> str:
        return bare_host(cast("IcmpConfig", config).host)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("IcmpConfig", config)

        async def talk(findings: Findings) -> None:
            pings = await context.net.ping(
                bare_host(wanted.host),
                count=wanted.count,
                interval_seconds=wanted.interval_ms / 1_000,
                wait_seconds=wanted.wait_ms / 1_000,
                size=wanted.size,
            )
            findings.details.update(statistics(pings.round_trips_ms))
            findings.total_ms = findings.details.get("average_ms")
            _judge(wanted, findings)

        return await run_probe(context, talk)

    def figures(self, outcome: Outcome) -> Iterator[Figure]:
        measured = {"resolve": outcome.dns_ms, "setup": outcome.connect_ms, "rtt": outcome.first_byte_ms}
        yield from phases("probe_icmp_duration_seconds", measured.items())


def statistics(round_trips_ms: Sequence[float | None]) -> dict[str, float]:
    """Return the facts of a series; times only where a packet came back."""
    came = [trip for trip in round_trips_ms if trip is not None]
    sent = len(round_trips_ms)
    facts: dict[str, float] = {
        "sent": sent,
        "received": len(came),
        "loss_percent": round(100 * (sent - len(came)) / sent, 1) if sent else 100.0,
    }
    if came:
        steps = [abs(after - before) for before, after in pairwise(came)]
        facts.update(
            min_ms=min(came),
            average_ms=round(sum(came) / len(came), 2),
            max_ms=max(came),
            jitter_ms=round(sum(steps) / len(steps), 2) if steps else 0.0,
        )
    return facts


def _judge(wanted: IcmpConfig, findings: Findings) -> None:
    facts = findings.details
    if not facts["received"]:
        raise ProbeFailure("ping_unanswered", {"sent": facts["sent"]})
    loss = facts["loss_percent"]
    if loss > wanted.max_loss_percent:
        raise ProbeFailure("ping_loss", {"loss": f"{loss:g}", "limit": wanted.max_loss_percent})
    if loss > wanted.warn_loss_percent:
        findings.warning = ("ping_loss", {"loss": f"{loss:g}", "limit": wanted.warn_loss_percent})
    elif wanted.max_jitter_ms and facts["jitter_ms"] > wanted.max_jitter_ms:
        findings.warning = ("ping_jitter", {"jitter": f"{facts['jitter_ms']:g}", "limit": wanted.max_jitter_ms})
