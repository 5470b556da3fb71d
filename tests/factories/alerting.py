"""Rules and channels. Call inside a tenant scope."""

from typing import Any

from apps.alerting.domain.rules import RuleSettings, create_rule
from apps.alerting.models import AlertRule
from apps.notifications.models import Channel, Delivery


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
