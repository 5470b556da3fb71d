"""Rules and channels. Call inside a tenant scope."""

from typing import Any

import time_machine

from apps.alerting.domain.rounds import consider_outage
from apps.alerting.domain.rules import RuleSettings, create_rule
from apps.alerting.enums import Trigger
from apps.alerting.models import AlertRule, AlertStep
from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.domain.outages import account_for_flips
from apps.incidents.models import Outage
from apps.notifications.models import Channel, Delivery
from tests.factories.incidents import make_flip, minute


def make_channel(name: str = "Slack", **fields: Any) -> Channel:
    """A default channel whose settings nobody looks at."""
    channel: Channel = Channel.objects.create(name=name, **{"kind": "webhook", "is_default": True, **fields})
    return channel


def make_rule(name: str = "Everything", **settings: Any) -> AlertRule:
    """A rule as the product makes it; without settings it tells everything to the default channels."""
    return create_rule(RuleSettings(name=name, **settings))


def messages() -> list[tuple[str, str]]:
    """Title and channel of every delivery, in the order they were planned."""
    rows = Delivery.objects.order_by("id")
    return [(row.message["title"], row.channel_name) for row in rows]


def flip(check: Check, after: State, at: float, hand: time_machine.Traveller) -> None:
    """Let the check flip and everything follow."""
    hand.move_to(minute(at))
    make_flip(check, after, minute(at))
    account_for_flips([check.id])
    consider_outage(Outage.objects.filter(watched=check).latest("id").id, Trigger.CHANGED)


def answers() -> list[str]:
    """The last answer of each run, oldest first."""
    steps = AlertStep.objects.order_by("alert_id", "at", "-position").distinct("alert_id", "at")
    return [step.reason for step in sorted(steps, key=lambda step: step.at)]
