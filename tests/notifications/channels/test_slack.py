"""Slack: the payload by the letter, and what each of Slack's answers leads to."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from apps.notifications.channels.base import DeliveryError, Fact, Message, Policy, Receipt
from apps.notifications.channels.slack import SlackChannel, SlackConfig, escape, payload
from apps.notifications.enums import MessageState, Severity
from tests.notifications.conftest import ENDED_AT
from tests.peers.receiver import Receiver, Say, listening
from tests.peers.slack import judge

LOCAL = Policy(allow_private=True)


def deliver(url: str, message: Message) -> Receipt:
    return SlackChannel().deliver(SlackConfig(url=url), message, key="alert:1:firing", policy=LOCAL)


def refused(url: str, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(url, message)
    return caught.value


def test_payload_by_the_letter(message: Message) -> None:
    assert payload(replace(message, ended_at=ENDED_AT)) == {
        "text": "🔴 api &lt;prod&gt; &amp; friends is down",
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": "🔴 api &lt;prod&gt; &amp; friends is down", "emoji": True},
            }
        ],
        "attachments": [
            {
                "color": "#db2d3b",
                "blocks": [
                    {
                        "type": "section",
                        "text": {"type": "mrkdwn", "text": "Expected status 200,\ngot 503 &amp; &lt;html&gt;"},
                    },
                    {
                        "type": "section",
                        "fields": [
                            {"type": "mrkdwn", "text": "*Check*\napi"},
                            {"type": "mrkdwn", "text": "*URL*\nhttps://api.example/?a=1&amp;b=2"},
                            {
                                "type": "mrkdwn",
                                "text": "*Started*\n<!date^1795230000^{date_short_pretty} {time_secs}|2026-11-21 03:00:00 UTC>",
                            },
                            {
                                "type": "mrkdwn",
                                "text": "*Ended*\n<!date^1795230330^{date_short_pretty} {time_secs}|2026-11-21 03:05:30 UTC>",
                            },
                        ],
                    },
                    {
                        "type": "actions",
                        "elements": [
                            {
                                "type": "button",
                                "text": {"type": "plain_text", "text": "Open in Obsera", "emoji": True},
                                "url": "https://obsera.example/t/acme/alerts/1/",
                            }
                        ],
                    },
                    {"type": "context", "elements": [{"type": "mrkdwn", "text": "Acme"}]},
                ],
            }
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


@pytest.mark.parametrize(
    ("state", "severity", "sign", "color"),
    [
        (MessageState.FIRING, Severity.CRITICAL, "🔴", "#db2d3b"),
        (MessageState.FIRING, Severity.WARNING, "🔴", "#cf8205"),
        (MessageState.RESOLVED, Severity.CRITICAL, "🟢", "#129a55"),
        (MessageState.INFO, Severity.INFO, "🔵", "#3a4cd1"),
        (MessageState.TEST, Severity.INFO, "🧪", "#838a97"),
    ],
)
def test_state_and_severity_show(state: MessageState, severity: Severity, sign: str, color: str) -> None:
    made = payload(Message(title="api", state=state, severity=severity))

    assert made["text"] == f"{sign} api"
    assert made["attachments"][0]["color"] == color


def test_slack_takes_the_message_with_its_key(slack_server: Receiver, message: Message) -> None:
    receipt = deliver(slack_server.url("/services/T0/B0/key"), message)

    assert receipt == Receipt(200, "ok")
    (heard,) = slack_server.heard
    assert json.loads(heard.body) == payload(message)
    assert heard.headers["idempotency-key"] == "alert:1:firing"
    assert heard.headers["content-type"] == "application/json"


def test_message_beyond_every_limit_still_fits_slack(slack_server: Receiver) -> None:
    huge = Message(
        title="&<" * 10_000,
        text="&" * 50_000,
        facts=tuple(Fact("<" * 500, "&" * 9_000) for _ in range(40)),
        url="https://obsera.example/" + "x" * 4_000,
        started_at=ENDED_AT,
        footer="&" * 9_000,
    )

    assert deliver(slack_server.url("/services/T0/B0/key"), huge) == Receipt(200, "ok")
    details = judge(slack_server.heard[0].body)["attachments"][0]["blocks"]
    assert [block["type"] for block in details] == ["section", "section", "context"]  # an address too long for a button
    assert len(details[1]["fields"]) == 10
    assert details[1]["fields"][9]["text"].startswith("*Started*")


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [("a&b", 7, "a&amp;b"), ("a&b", 6, "a…"), ("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("", 5, "")],
)
def test_escape_cuts_between_entities(text: str, limit: int, cut: str) -> None:
    assert escape(text, limit) == cut


def test_mention_in_a_message_pings_nobody() -> None:
    made = payload(Message(title="<!channel>", text="<@U123> <!here>"))

    assert made["attachments"][0]["blocks"][0]["text"]["text"] == "&lt;@U123&gt; &lt;!here&gt;"


@pytest.mark.parametrize(
    ("status", "body", "permanent", "is_gone", "code"),
    [
        (404, b"no_service", True, True, "no_service"),
        (410, b"channel_is_archived", True, True, "channel_is_archived"),
        (403, b"action_prohibited", True, False, "http-403"),
        (400, b"invalid_payload", True, False, "http-400"),
        (404, b"<html>nginx</html>", True, False, "http-404"),
        (500, b"rollup_error", False, False, "http-500"),
        (301, b"", False, False, "http-301"),
    ],
)
def test_answers_of_slack(
    message: Message, status: int, body: bytes, permanent: bool, is_gone: bool, code: str
) -> None:
    with listening(Say(status, body, {"Location": "https://elsewhere.example/"})) as server:
        error = refused(server.url(), message)

    assert (error.permanent, error.is_gone, error.code, error.status_code) == (permanent, is_gone, code, status)
    assert error.detail == body.decode()
    assert len(server.heard) == 1  # the redirect was not followed


def test_slack_asking_for_patience_is_heard(message: Message) -> None:
    with listening(Say(429, b"rate_limited", {"Retry-After": "30"})) as server:
        error = refused(server.url(), message)

    assert (error.permanent, error.retry_after) == (False, timedelta(seconds=30))
    assert error.message == (
        "Slack asks for fewer messages (status 429). Obsera tries again after the pause it asked for."
    )


def test_address_in_lists_hides_the_secret() -> None:
    assert SlackChannel().address(SlackChannel().sample()) == "Slack webhook …mple"
