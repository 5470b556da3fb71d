"""Every kind of channel, in the order people see them."""

from typing import Any

from apps.core.registry import Registry
from apps.notifications.channels.base import ChannelType
from apps.notifications.channels.email import EmailChannel
from apps.notifications.channels.slack import SlackChannel
from apps.notifications.channels.webhook import WebhookChannel

CHANNEL_TYPES: Registry[ChannelType[Any]] = Registry(
    "channel types", (SlackChannel(), EmailChannel(), WebhookChannel())
)
