"""A Slack-shaped incoming webhook: takes what Slack takes, refuses what Slack refuses, with Slack's words.

Written from https://docs.slack.dev/reference/block-kit/blocks, not from our sender.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.peers.receiver import Heard, Receiver, Say, listening

TOP_LEVEL = {
    "text",
    "blocks",
    "attachments",
    "unfurl_links",
    "unfurl_media",
    "thread_ts",
    "mrkdwn",
    "username",
    "icon_emoji",
}
# "<" may only begin a link, a mention or a date; a bare "&" must be an entity.
BARE = re.compile(r"<(?![!@#]|https?://|mailto:)|&(?!(amp|lt|gt);)")


class Refused(ValueError):
    """The payload is not what Slack takes; the text is Slack's word."""


def _require(is_met: bool, word: str = "invalid_blocks") -> None:
    if not is_met:
        raise Refused(word)


def _text(node: Any, *, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> None:
    _require(isinstance(node, dict) and node.get("type") in kinds)
    _require(isinstance(node.get("text"), str) and 1 <= len(node["text"]) <= limit)
    _require(not BARE.search(node["text"]))


def _header(block: dict[str, Any]) -> None:
    _text(block["text"], limit=150, kinds=("plain_text",))


def _section(block: dict[str, Any]) -> None:
    _require("text" in block or "fields" in block)
    if "text" in block:
        _text(block["text"], limit=3_000)
    if "fields" in block:
        _require(1 <= len(block["fields"]) <= 10)
        for node in block["fields"]:
            _text(node, limit=2_000)


def _actions(block: dict[str, Any]) -> None:
    _require(1 <= len(block["elements"]) <= 25)
    for button in block["elements"]:
        _require(button["type"] == "button")
        _text(button["text"], limit=75, kinds=("plain_text",))
        _require(len(button.get("url", "")) <= 3_000)


def _context(block: dict[str, Any]) -> None:
    _require(1 <= len(block["elements"]) <= 10)
    for node in block["elements"]:
        _text(node, limit=3_000)


BLOCKS = {
    "header": _header,
    "section": _section,
    "actions": _actions,
    "context": _context,
    "divider": lambda _block: None,
}


def judge(body: bytes) -> dict[str, Any]:
    """Return the payload or raise `Refused`."""
    try:
        payload = json.loads(body)
    except ValueError as error:
        raise Refused("invalid_payload") from error
    _require(isinstance(payload, dict) and set(payload) <= TOP_LEVEL, "invalid_payload")
    _require(bool(payload.get("text") or payload.get("blocks")), "no_text")
    _require(len(payload.get("text", "")) <= 40_000, "msg_too_long")
    attachments = payload.get("attachments", [])
    _require(len(attachments) <= 100, "too_many_attachments")
    for blocks in (payload.get("blocks", []), *(attachment.get("blocks", []) for attachment in attachments)):
        _require(len(blocks) <= 50)
        for block in blocks:
            _require(block.get("type") in BLOCKS)
            BLOCKS[block["type"]](block)
    for attachment in attachments:
        _require(bool(re.fullmatch(r"#[0-9a-f]{6}", attachment.get("color", "#000000"))), "invalid_attachments")
    return payload


def answer(_number: int, heard: Heard) -> Say:
    """Answer like hooks.slack.com."""
    if heard.method != "POST" or not heard.headers.get("content-type", "").startswith("application/json"):
        return Say(400, b"invalid_payload")
    if not heard.path.startswith("/services/"):
        return Say(404, b"no_service")
    try:
        judge(heard.body)
    except Refused as refused:
        return Say(400, str(refused).encode())
    return Say(200, b"ok")


@contextmanager
def slack() -> Iterator[Receiver]:
    """Run a Slack-shaped server; its webhook is ``.url("/services/T0/B0/key")``."""
    with listening(answer) as receiver:
        yield receiver
