"""Taking secrets out of what is shown: as they are, as JSON or an address writes them, and cut off in the middle."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from apps.checks.types.base import Outcome
from apps.core.kinds import MASK

SHORTEST = 4  # a shorter value is no secret, and hiding it would hide half of every text
LONGEST_CUT = 200  # shown texts are shorter
CUT_MARKS = ("…", "...(truncated)", ")", "")


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with a mask in place of every secret, and of the beginning of one that was cut off."""
    forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, MASK)
    for form in forms:
        for mark in CUT_MARKS:
            text = _without_beginning(text, form, mark)
    return text


def _forms(secret: str) -> Iterator[str]:
    if len(secret) >= SHORTEST:
        yield from (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
        yield from (quote(secret, safe=""), quote(secret))


def _without_beginning(text: str, secret: str, mark: str) -> str:
    """Hide the beginning of a secret that stands right before a mark that texts are cut with, or at the end."""
    place = len(text) if not mark else text.find(mark)
    while place >= 0:
        for length in range(min(len(secret) - 1, LONGEST_CUT, place), SHORTEST - 1, -1):
            if text.startswith(secret[:length], place - length):
                text = f"{text[: place - length]}{MASK}{text[place:]}"
                break
        place = text.find(mark, place + len(MASK) + 1) if mark else -1
    return text


def hide_secrets(outcome: Outcome, secrets: Iterable[str]) -> None:
    """Take secrets out of an outcome: servers repeat what they were told, and a result is shown to whoever may look."""
    known = [secret for secret in secrets if len(secret) >= SHORTEST]
    if known:
        outcome.error_values = {name: _hidden(value, known) for name, value in outcome.error_values.items()}
        outcome.details = {name: _hidden(value, known) for name, value in outcome.details.items()}


def _hidden(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        return without_secrets(value, secrets)
    return [_hidden(entry, secrets) for entry in value] if isinstance(value, list) else value
