"""Slack, through an incoming webhook.

Limits: https://docs.slack.dev/reference/block-kit/blocks
Answers: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.kinds import Config, Widget, setting
from apps.notifications.channels.base import ChannelType, DeliveryError, Fact, Message, Policy, Receipt
from apps.notifications.channels.posting import Answer, busy_or_broken, check_address, post
from apps.notifications.enums import MessageState, Severity

HEADER_LIMIT = 150
SECTION_LIMIT = 3_000
FIELD_LIMIT = 2_000
FIELDS_LIMIT = 10
CONTEXT_LIMIT = 2_000
URL_LIMIT = 3_000

# The colours of states, as in static/css/tokens.css.
COLORS = {Severity.CRITICAL: "#db2d3b", Severity.WARNING: "#cf8205", Severity.INFO: "#3a4cd1"}
COLOR_RESOLVED = "#129a55"
COLOR_TEST = "#838a97"
SIGNS = {
    MessageState.FIRING: "🔴",
    MessageState.RESOLVED: "🟢",
    MessageState.INFO: "🔵",
    MessageState.TEST: "🧪",
}
# What Slack answers when nothing will ever arrive again through this address.
GONE = frozenset(
    {"no_service", "no_team", "no_active_hooks", "team_disabled", "channel_is_archived", "channel_not_found"}
)


@dataclass(frozen=True, kw_only=True)
class SlackConfig(Config):
    """An incoming webhook. Its address is the secret."""

    url: str = setting(
        label=gettext_lazy("Webhook URL"),
        help=gettext_lazy(
            "In Slack: your app → Incoming Webhooks → Add New Webhook. The address starts with https://hooks.slack.com/services/."
        ),
        is_secret=True,
        widget=Widget.SECRET,
        check=check_address,
    )


class SlackChannel(ChannelType[SlackConfig]):
    """Posts Block Kit messages with a coloured edge."""

    kind = "slack"
    label = gettext_lazy("Slack")
    icon = "brand-slack"
    help = gettext_lazy("Posts to one Slack channel through an incoming webhook.")
    Config = SlackConfig

    def sample(self) -> SlackConfig:
        return SlackConfig(url="https://hooks.slack.com/services/T000/B000/sample")

    def address(self, config: SlackConfig) -> str:
        return _("Slack webhook …%(end)s") % {"end": config.url[-4:]}

    def deliver(self, config: SlackConfig, message: Message, *, key: str, policy: Policy) -> Receipt:
        body = json.dumps(payload(message), ensure_ascii=False).encode()
        answer = post(config.url, body, headers={}, key=key, policy=policy)
        if answer.is_ok:
            return answer.receipt()
        raise _refusal(answer)


def _refusal(answer: Answer) -> DeliveryError:
    word = answer.text.strip()
    if word in GONE or answer.status == 410:
        text = _("Slack has closed this webhook (%(word)s). Make a new one in Slack and enter its address here.")
        return answer.error(text % {"word": word or answer.status}, code=word or "gone", is_gone=True)
    if answer.status == 403:
        text = _("Slack does not allow this webhook to post (%(word)s). Ask an admin of your Slack workspace.")
        return answer.error(text % {"word": word}, permanent=True)
    if answer.status in {400, 404, 413}:
        text = _("Slack did not accept the message (%(status)s %(word)s). Check that the webhook URL is complete.")
        return answer.error(text % {"word": word, "status": answer.status}, permanent=True)
    return busy_or_broken(answer, "Slack")


def escape(text: str, limit: int) -> str:
    """Escape Slack's three control signs, and cut so that the escaped text fits ``limit`` without a torn entity."""
    escaped = [{"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(sign, sign) for sign in text]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    length, kept = 1, []  # one for the ellipsis
    for sign in escaped:
        length += len(sign)
        if length > limit:
            break
        kept.append(sign)
    return "".join(kept) + "…"


def payload(message: Message) -> dict[str, Any]:
    """Return the message as Slack wants it: a header on top, the rest in an attachment that carries the colour."""
    title = f"{SIGNS[message.state]} {message.title}"
    return {
        "text": escape(title, SECTION_LIMIT),  # what notifications and screen readers get
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": escape(title, HEADER_LIMIT), "emoji": True}}
        ],
        "attachments": [{"color": _color(message), "blocks": list(_details(message))}],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _color(message: Message) -> str:
    if message.state == MessageState.RESOLVED:
        return COLOR_RESOLVED
    return COLOR_TEST if message.state == MessageState.TEST else COLORS[message.severity]


def _details(message: Message) -> Iterator[dict[str, Any]]:
    if message.text:
        yield {"type": "section", "text": {"type": "mrkdwn", "text": escape(message.text, SECTION_LIMIT)}}
    times = list(_times(message))
    facts = [_field(fact) for fact in message.facts if fact.value][: FIELDS_LIMIT - len(times)]
    if facts or times:
        yield {"type": "section", "fields": [*facts, *times]}
    if message.url and len(message.url) <= URL_LIMIT:
        button = {"type": "plain_text", "text": _("Open in Obsera"), "emoji": True}
        yield {"type": "actions", "elements": [{"type": "button", "text": button, "url": message.url}]}
    footer = escape(message.footer or "Obsera", CONTEXT_LIMIT)
    yield {"type": "context", "elements": [{"type": "mrkdwn", "text": footer}]}


def _field(fact: Fact) -> dict[str, str]:
    label = escape(fact.label, 200)
    return {"type": "mrkdwn", "text": f"*{label}*\n{escape(fact.value, FIELD_LIMIT - len(label) - 3)}"}


def _times(message: Message) -> Iterator[dict[str, str]]:
    """Yield instants that Slack shows in each reader's own time zone."""
    for label, at in ((_("Started"), message.started_at), (_("Ended"), message.ended_at)):
        if at:
            fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            shown = f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{fallback}>"
            yield {"type": "mrkdwn", "text": f"*{escape(label, 200)}*\n{shown}"}
