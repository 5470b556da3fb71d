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
# What stands before a token in an Authorization header and its kin; other schemes' tokens are known by their looks.
SCHEMES = frozenset({"apikey", "api-key", "basic", "bearer", "digest", "key", "negotiate", "ntlm", "token"})
SHORTEST_TOKEN = 12
SHORTEST = 4  # a shorter value is no secret, and hiding it would hide half of every text
LONGEST_CUT = 200  # shown texts are shorter
CUT_MARKS = ("…", "...(truncated)", ")", ", ", "'", "")
# Where a word stands alone: no letter beside it, unless that belongs to something escaped, as in "\nword" or "%2Fword".
BEFORE = re.compile(r"(?<![A-Za-z])|(?<=\\[A-Za-z])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})")
FORMS = "_forms_of_secrets"  # where a configuration keeps its own

Forms = tuple[str, ...]  # the longest first, so that none hides the middle of another


class Word(str):
    """A secret of letters that may be an ordinary word as well: hidden where it stands alone, not in "unhealthy"."""

    __slots__ = ()


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with a mask in place of every secret, and of the beginning of one that was cut off."""
    return _without_forms(text, _forms_of(secrets))


def holds_secret(text: str, secrets: Iterable[str]) -> bool:
    """Tell whether one of the secrets stands in ``text``, in any of its forms."""
    return any(form in text for secret in secrets for form in _forms(secret))


def _forms_of(secrets: Iterable[str]) -> Forms:
    return tuple(sorted(dict.fromkeys(form for secret in secrets for form in _forms(secret)), key=len, reverse=True))


@lru_cache(maxsize=1_024, typed=True)
def _forms(secret: str) -> Forms:
    if len(secret) < SHORTEST:
        return ()
    if isinstance(secret, Word):  # letters are the same everywhere
        return (secret,)
    as_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    plain = UNSTORABLE.sub("?", secret)  # which an address cannot hold
    return tuple(dict.fromkeys((secret, *as_json, quote(plain, safe=""), quote(plain))))


def _without_forms(text: str, forms: Forms) -> str:
    for form in _begun(forms, text):
        if not isinstance(form, Word):
            text = text.replace(form, MASK)
        elif form in text:
            text = re.sub(rf"(?:{BEFORE.pattern}){form}(?![A-Za-z])", MASK, text)
    for form in _begun(forms, text):
        for mark in CUT_MARKS:
            text = _without_beginning(text, form, mark)
    return text


def _begun(forms: Forms, text: str) -> list[str]:
    """Return those that may stand in ``text``, which are few of many."""
    return [form for form in forms if form[:SHORTEST] in text]


def _without_beginning(text: str, secret: str, mark: str) -> str:
    """Hide the beginning of a secret that stands right before a mark that texts are cut with, or at the end."""
    is_word = isinstance(secret, Word)
    place = len(text) if not mark else text.find(mark)
    while place >= 0:
        longest = min(len(secret) - 1, LONGEST_CUT, place)
        if text.find(secret[:SHORTEST], place - longest, place) < 0:
            longest = 0
        for length in range(longest, SHORTEST - 1, -1):
            start = place - length
            if text.startswith(secret[:length], start) and (not is_word or BEFORE.match(text, start)):
                text = f"{text[:start]}{MASK}{text[place:]}"
                break
        place = text.find(mark, place + len(MASK) + 1) if mark else -1
    return text


def hide_secrets(outcome: Outcome, secrets: Iterable[str]) -> None:
    """Take secrets out of an outcome: servers repeat what they were told, and a result is shown to whoever may look."""
    _hide(outcome, _forms_of(secrets))


def without_any(value: T, secrets: Iterable[str]) -> T:
    """Return a value as JSON has them without secrets in any of its texts."""
    forms = _forms_of(secrets)
    hidden: T = _changed(value, lambda text: _without_forms(text, forms)) if forms else value
    return hidden


def make_presentable(outcome: Outcome, config: Config) -> None:
    """Make an outcome fit to be kept and shown, whatever its target sent: without the check's own secrets in it."""
    if outcome.error_values or outcome.details:
        _hide(outcome, _forms_for(config))
        _rewrite(outcome, lambda text: UNSTORABLE.sub("\ufffd", text))


def _forms_for(config: Config) -> Forms:
    """Return what is hidden in every outcome of a check, made once: of a long message it is much."""
    prepared = vars(config)  # which is where `cached_property` keeps what is made of the settings
    if FORMS not in prepared:
        prepared[FORMS] = _forms_of(secrets_of(config))
    forms: Forms = prepared[FORMS]
    return forms


def _hide(outcome: Outcome, forms: Forms) -> None:
    if forms:
        _rewrite(outcome, lambda text: _without_forms(text, forms))


def secrets_of(config: Config) -> Iterator[str]:
    """Yield what a check may have told its target and nobody else: its secret settings, and what it made of them."""
    for name, value in dump_config(config).items():
        if value and is_secret_setting(type(config), name):
            if isinstance(value, dict):
                yield from _pairs(value, OPEN_HEADERS if name == "headers" else frozenset())
            else:
                yield from [value] if isinstance(value, str) else value
    yield from getattr(config, "made_secrets", ())


def _pairs(pairs: Mapping[str, str], open_names: frozenset[str]) -> Iterator[str]:
    for name, value in pairs.items():
        if name.lower() not in open_names:
            yield value
            scheme, _gap, rest = value.strip().partition(" ")
            if scheme.lower() in SCHEMES or _is_token(rest):
                yield rest.strip()


def _is_token(text: str) -> bool:
    """Tell whether this is a token rather than the rest of a sentence, whose words stand in many an answer."""
    return len(text) >= SHORTEST_TOKEN and " " not in text and any(map(str.isdigit, text))


def _rewrite(outcome: Outcome, change: Callable[[str], str]) -> None:
    outcome.error_values = {name: _changed(value, change) for name, value in outcome.error_values.items()}
    outcome.details = {name: _changed(value, change) for name, value in outcome.details.items()}


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _changed(part, change) for name, part in value.items()}
    return [_changed(part, change) for part in value] if isinstance(value, list | tuple) else value
