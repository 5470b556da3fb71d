"""Taking secrets out of what is shown: as they are, as JSON or an address writes them, and cut off in the middle."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

from apps.checks.types.base import Outcome
from apps.core.kinds import MASK, Config, dump_config, is_secret_setting

T = TypeVar("T")
# PostgreSQL's JSON takes neither, and one result that it refuses would cost all those that are stored with it.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# What these headers say is no secret, and hiding it would take "text/html" out of every result.
OPEN_HEADERS = frozenset(
    {
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-type", "date"),
        *("from", "host", "if-modified-since", "if-none-match", "origin", "pragma", "range", "referer", "user-agent"),
    }
)
SHORTEST = 4  # a shorter value is no secret, and hiding it would hide half of every text
LONGEST_CUT = 200  # shown texts are shorter
CUT_MARKS = ("…", "...(truncated)", ")", ", ", "'", "")


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with a mask in place of every secret, and of the beginning of one that was cut off."""
    known = {form for secret in secrets for form in _forms(secret) if form[:SHORTEST] in text}
    forms = sorted(known, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, MASK)
    for form in forms:
        for mark in CUT_MARKS:
            text = _without_beginning(text, form, mark)
    return text


def holds_secret(text: str, secrets: Iterable[str]) -> bool:
    """Tell whether one of the secrets stands in ``text``, in any of its forms."""
    return any(form in text for secret in secrets for form in _forms(secret))


@lru_cache(maxsize=1_024)
def _forms(secret: str) -> tuple[str, ...]:
    if len(secret) < SHORTEST:
        return ()
    as_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    plain = UNSTORABLE.sub("?", secret)  # which an address cannot hold
    return (secret, *as_json, quote(plain, safe=""), quote(plain))


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
        _rewrite(outcome, lambda text: without_secrets(text, known))


def without_any(value: T, secrets: Iterable[str]) -> T:
    """Return a value as JSON has them without secrets in any of its texts."""
    known = list(secrets)
    hidden: T = _changed(value, lambda text: without_secrets(text, known)) if known else value
    return hidden


def make_presentable(outcome: Outcome, config: Config) -> None:
    """Make an outcome fit to be kept and shown, whatever its target sent: without the check's own secrets in it."""
    if outcome.error_values or outcome.details:
        hide_secrets(outcome, secrets_of(config))
        _rewrite(outcome, lambda text: UNSTORABLE.sub("\ufffd", text))


def secrets_of(config: Config) -> Iterator[str]:
    """Yield what a check may have told its target and nobody else: its secret settings, and what it made of them."""
    for name, value in dump_config(config).items():
        if value and is_secret_setting(type(config), name):
            yield from _headers(value) if name == "headers" else _texts(value)
    yield from getattr(config, "made_secrets", ())


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        if name.lower() not in OPEN_HEADERS:
            yield from (value, value.rpartition(" ")[2])  # as a whole, and without a "Bearer" before it


def _texts(value: Any) -> Iterator[str]:
    yield from value.values() if isinstance(value, dict) else [value] if isinstance(value, str) else value


def _rewrite(outcome: Outcome, change: Callable[[str], str]) -> None:
    outcome.error_values = {name: _changed(value, change) for name, value in outcome.error_values.items()}
    outcome.details = {name: _changed(value, change) for name, value in outcome.details.items()}


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _changed(part, change) for name, part in value.items()}
    return [_changed(part, change) for part in value] if isinstance(value, list | tuple) else value
